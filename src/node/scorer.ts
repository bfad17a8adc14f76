/**
 * What scores samples: a JavaScript module on this machine (`verifier.ts`), or a shader job on the swarm that gets each
 * sample's token ids as a value of its own and leaves its score as the first number of its first output.
 */

import { dirname, resolve } from 'node:path';
import type { Swarm } from '../assembly/swarm.ts';
import { expectInput, InputError } from '../core/result.ts';
import { parseReduceFile } from '../protocol/job-file.ts';
import { WorkFailedError } from './output.ts';
import { readInput } from './read-input.ts';
import { openVerifier, type Score, type VerifierOptions } from './verifier.ts';

export interface ScoredSample {
  readonly text: string;
  readonly tokens: readonly number[];
}

export interface Scorer {
  /** A score for each sample; `problem` is the line of the set, or the prompt alone. */
  scores(
    swarm: Swarm,
    problem: object,
    promptTokens: readonly number[],
    samples: readonly ScoredSample[],
  ): Promise<readonly Score[]>;
  close(): Promise<void>;
}

/** From a `.js`, `.mjs` or `.cjs` module, or the `.json` of a shader job; an `InputError` says what is wrong with it. */
export async function openScorer(path: string, options: VerifierOptions = {}): Promise<Scorer> {
  if (/\.[cm]?js$/.test(path)) return openModuleScorer(path, options);
  if (path.endsWith('.json')) return openShaderScorer(path);
  throw new InputError(`--verifier ${path}: expected a .js or .mjs module, or the .json of a shader job`);
}

async function openModuleScorer(path: string, options: VerifierOptions): Promise<Scorer> {
  const verifier = await openVerifier(path, options);
  return {
    scores: (_swarm, problem, _promptTokens, samples) =>
      Promise.all(samples.map(({ text }) => verifier.score(problem, text))),
    close: () => verifier.close(),
  };
}

async function openShaderScorer(path: string): Promise<Scorer> {
  const where = `--verifier ${path}`;
  const { job, shader, buffer } = await readShaderVerifier(path, where);
  const folder = dirname(resolve(path));
  const files = (name: string) => readInput(resolve(folder, name));
  // A file that is not there is told before anybody draws a sample.
  await files(shader);
  return {
    scores: async (swarm, _problem, promptTokens, samples) => {
      const values = samples.map(({ tokens }) => sampleWords(promptTokens, tokens));
      const running = await swarm.submitFile({ ...job, units: { each: { [buffer]: values } } }, { files, where });
      const scores: number[] = [];
      for await (const { unit, outputs } of running) scores[unit] = Number(outputs[0]?.data[0]);
      const ended = await running.finished;
      if (ended.state !== 'done')
        throw new WorkFailedError(`${where}: the job ${ended.state}: ${ended.reason ?? 'no reason given'}`);
      const odd = scores.findIndex((score) => !Number.isFinite(score));
      if (odd >= 0)
        throw new WorkFailedError(`${where}: gave ${scores[odd]} for sample ${odd}, expected a finite number`);
      return scores;
    },
    close: async () => {},
  };
}

/** What an `each` buffer holds: u32 of how many prompt tokens, how many drawn ones, then both. */
export const sampleWords = (prompt: readonly number[], drawn: readonly number[]): Uint32Array =>
  Uint32Array.from([prompt.length, drawn.length, ...prompt, ...drawn]);

interface ShaderVerifier {
  /** The parsed file, all but its units. */
  readonly job: object;
  readonly shader: string;
  /** Name of the buffer that takes a sample. */
  readonly buffer: string;
}

async function readShaderVerifier(path: string, where: string): Promise<ShaderVerifier> {
  const text = (await readInput(path)).toString('utf8');
  let job: unknown;
  try {
    job = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${where}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  // Of the same form as the second file of `reduce`: no units, and one buffer for what comes in.
  const { buffers, shader } = expectInput(parseReduceFile(job, where));
  const each = buffers.find((one) => one.kind === 'each');
  return { job: Object(job), shader, buffer: each?.name ?? '' };
}
