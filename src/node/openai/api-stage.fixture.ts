/** For tests: the API on a port, over a model in memory that says what the test wants, and OpenAI's own client for it. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { APIError } from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { AnswerRequest } from '../../assembly/answering.ts';
import {
  createToyAnswering,
  toyModel,
  type ToyAnswering,
  type ToyOptions,
} from '../../assembly/toy-answering.fixture.ts';
import { utf8 } from '../../core/bytes.ts';
import { expectInput } from '../../core/result.ts';
import { encodeTokenizerBundle } from '../../models/tokenizer-bundle.ts';
import { startHttpServer, type RunningHttpServer } from '../http-server.ts';
import { addApiKey, createKeyRing } from './api-keys.ts';
import { openReceipts } from './receipts.ts';
import { createOpenAiHandler } from './routes.ts';

export const model = 'toy/one';
export const user = (content: string) => [{ role: 'user' as const, content }];

/** Says this text in every sample, with the sample's number for `#`. */
export const says =
  (text: string): ToyOptions['next'] =>
  (_request, sample, place) =>
    utf8(text.replaceAll('#', String(sample)))[place];

export interface ApiStage {
  /** What the model of this test does. */
  plan: Pick<ToyOptions, 'next' | 'pace' | 'admit'>;
  readonly toy: ToyAnswering;
  readonly url: string;
  readonly key: string;
  client(options?: { readonly apiKey?: string; readonly maxRetries?: number }): OpenAI;
  /** The newest request that reached the model. */
  asked(): AnswerRequest;
  get(path: string): Promise<Response>;
  post(path: string, body: string): Promise<Response>;
}

/** Opens the API before each test of a file and closes it after; no test may leave a failure of the hub itself. */
export function stageApi(): ApiStage {
  const bundle = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 256, source: { kind: 'bytes' } }));
  let folder = '';
  let key = '';
  let server: RunningHttpServer;
  let toy: ToyAnswering;
  const reports: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tabswarm-api-'));
    key = (await addApiKey(folder, 'tests')).key;
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    stage.plan = { next: says('Hello #, a story.') };
    toy = createToyAnswering({
      models: [toyModel(model, 128)],
      next: (...args) => stage.plan.next(...args),
      pace: (place) => stage.plan.pace?.(place) ?? Promise.resolve(),
      admit: (request) => stage.plan.admit?.(request),
    });
    const handle = createOpenAiHandler({
      answering: toy,
      read: async () => bundle,
      keys: createKeyRing(folder),
      receipts: await openReceipts(join(folder, 'receipts')),
      unixSeconds: () => 1_700_000_000,
      report: (line) => reports.push(line),
      firstTokenMsMax: 400,
    });
    const parts = { port: 0, host: '127.0.0.1', health: () => ({ ok: true }), bootstrap: () => ({}) };
    server = await startHttpServer({ ...parts, routes: [{ path: '/v1', handle }] });
  });
  afterEach(async () => {
    await server.close();
    expect(reports.splice(0), 'failures of the hub itself').toEqual([]);
  });

  const headers = () => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' });
  const stage: ApiStage = {
    plan: { next: says('') },
    get toy() {
      return toy;
    },
    get url() {
      return server.url;
    },
    get key() {
      return key;
    },
    client: (options = {}) => new OpenAI({ apiKey: key, maxRetries: 0, ...options, baseURL: `${server.url}/v1` }),
    asked: () => {
      const request = toy.requests.at(-1);
      if (request === undefined) throw new Error('nothing was asked');
      return request;
    },
    get: (path) => fetch(`${server.url}/v1${path}`, { headers: headers() }),
    post: (path, body) => fetch(`${server.url}/v1${path}`, { method: 'POST', body, headers: headers() }),
  };
  return stage;
}

/** The failure that a promise must end in. */
export async function failure(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(
    () => new Error('no failure'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof APIError) return error;
  throw error;
}
