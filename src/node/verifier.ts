/**
 * Verifiers of samples that are JavaScript: a module whose default export says how good a text is. It runs in a thread of
 * its own with a time limit for each text and a bound on its memory, so that an endless loop or an error of it is one
 * clear line and not the end of the command. The module is its author's: it is not locked away from the machine.
 */

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { present } from '../core/assert.ts';
import { InputError } from '../core/result.ts';
import { WorkFailedError } from './output.ts';

/** A number, or whether the text is right; true counts as 1. */
export type Score = number | boolean;

export interface Verifier {
  /** How good `text` is as an answer to the problem, which is plain data; one line where the function fails or is late. */
  score(problem: object, text: string): Promise<Score>;
  close(): Promise<void>;
}

export interface VerifierOptions {
  /** For each text. */
  readonly msMax?: number;
  /** For loading the module, which on a busy machine takes a while. */
  readonly loadMsMax?: number;
  /** What begins error lines. */
  readonly where?: string;
}

const memoryMiB = 256;
const msMaxDefault = 5000;
const loadMsMaxDefault = 30_000;

type Said = { readonly ready: true } | { readonly problem: string } | { readonly score: Score };

/** Loads the module; an `InputError` says what is wrong with it. */
export async function openVerifier(path: string, options: VerifierOptions = {}): Promise<Verifier> {
  const { msMax = msMaxDefault, loadMsMax = loadMsMaxDefault, where = `--verifier ${path}` } = options;
  if (!existsSync(path)) throw new InputError(`${where}: no such file`);
  const worker = new Worker(threadFile(), {
    workerData: { url: pathToFileURL(resolve(path)).href },
    env: {},
    // What it prints is no part of the command's result.
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: memoryMiB },
  });
  const ask = createAsker(worker);
  const loaded = await ask(loadMsMax).catch((error: Error) => ({ problem: error.message }));
  if (!('ready' in loaded)) {
    await worker.terminate();
    throw new InputError(`${where}: ${'problem' in loaded ? loaded.problem : 'said something before it was asked'}`);
  }
  let turn: Promise<unknown> = Promise.resolve();
  const score = async (problem: object, text: string): Promise<Score> => {
    const said = await ask(msMax, { problem, text }).catch((error: Error) => ({ problem: error.message }));
    if ('score' in said) return said.score;
    const what = 'problem' in said ? said.problem : 'said that it is ready, twice';
    throw new WorkFailedError(`${where}: ${what}, for the text ${shortened(text)}`);
  };
  return {
    score: (problem, text) => {
      const mine = turn.then(() => score(problem, text));
      turn = mine.catch(() => {});
      return mine;
    },
    close: async () => void (await worker.terminate()),
  };
}

/** One question at a time: what the thread says next, or why it will say nothing any more. */
function createAsker(worker: Worker): (msMax: number, question?: object) => Promise<Said> {
  let ended: Error | undefined;
  let settle: { readonly said: (said: Said) => void; readonly failed: (error: Error) => void } | undefined;
  const end = (reason: string): void => {
    ended ??= new Error(reason);
    settle?.failed(ended);
  };
  worker.on('message', (said: Said) => settle?.said(said));
  worker.on('error', (error) => end(`its thread ended: ${error.message.split('\n', 1)[0]}`));
  worker.on('exit', () => end('its thread ended'));
  // Whoever closes the command does not wait for a thread that waits for questions.
  worker.unref();
  return (msMax, question) =>
    new Promise<Said>((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      const timer = setTimeout(() => {
        end(`no answer within ${msMax / 1000} s`);
        void worker.terminate();
      }, msMax);
      const done = (): void => {
        clearTimeout(timer);
        settle = undefined;
      };
      settle = {
        said: (said) => {
          done();
          resolve(said);
        },
        failed: (error) => {
          done();
          reject(error);
        },
      };
      if (question !== undefined) worker.postMessage(question, []);
    });
}

const shortened = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** The thread's file, among the sources; the built command line, whose pieces may lie one folder deeper, finds it there too. */
function threadFile(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const places = [here, ...['..', '../..', '../../..'].map((up) => join(here, up, 'src', 'node'))];
  const file = places.map((place) => join(place, 'verifier-thread.mjs')).find((path) => existsSync(path));
  return present(file, 'src/node/verifier-thread.mjs is missing');
}
