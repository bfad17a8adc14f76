/**
 * The serve program on a real device: a model of others cut into stages gives the tokens that the oracle has for the whole, with
 * activations in f32 bit for bit the same as uncut; and it goes on when a stage is taken over. Links are arrays here.
 */

import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { createStageInbox, type StageInbox } from '../adapters/worker/stage-inbox.ts';
import { memorySource } from '../core/byte-source.ts';
import type { AccountId } from '../core/ids.ts';
import { expectInput } from '../core/result.ts';
import { openLlama2c } from '../models/weights/llama2c.ts';
import type { StageReply } from '../programs/program.ts';
import { openServeProgram } from '../programs/serve.ts';
import { placesOf, type ManifestOf, type ModelConfig, type ServePlan } from '../protocol/manifest.ts';
import type { ChosenToken, ServeSampling } from '../protocol/serving-messages.ts';
import { needsOf, splitLayers } from '../swarm/serving-places.ts';
import { openNodeGpu } from './open-gpu.ts';

const data = '../shared/data';
const modelFile = `${data}/stories260K/stories260K.bin`;
const isPossible = process.env['TABSWARM_NODE_GPU'] === '1' && existsSync(modelFile);

interface Run {
  readonly prompt_tokens: readonly number[];
  readonly tokens: readonly number[];
}

const greedy: ServeSampling = {
  maxTokens: 60,
  temperature: 0,
  topP: 1,
  topK: 0,
  seed: 0,
  stopTokens: [],
  topLogprobs: 2,
};

const planOf = (model: ModelConfig, bytes: number, plan: Partial<ServePlan>): ServePlan => ({
  name: 'stories',
  model,
  weights: { bytes, chunks: [] },
  format: 'llama2c',
  tokenizer: { bytes: 0, chunks: [] },
  stages: 1,
  spares: 0,
  pipelines: 1,
  context: 128,
  sequences: 8,
  activations: 'f32',
  ...plan,
});

const manifestOf = (serve: ServePlan): ManifestOf<'serve'> => ({
  version: 1,
  name: 'stories',
  nonce: '0'.repeat(32),
  submitter: 'a'.repeat(64) as AccountId,
  expires: 0,
  price: 1,
  units: placesOf(serve),
  verify: { replicas: 1, absolute: 0, relative: 0 },
  limits: { unitSeconds: 60 },
  program: 'serve',
  serve,
});

describe.skipIf(!isPossible)('a served model', () => {
  let opened: OpenedDevice;
  const bytes = new Uint8Array(isPossible ? readFileSync(modelFile) : []);
  const run = (
    isPossible
      ? (JSON.parse(readFileSync(`${data}/oracle/stories260K_greedy.json`, 'utf8')) as { runs: Run[] }).runs
      : []
  )[1];
  let config: ModelConfig;

  beforeAll(async () => {
    opened = await openDevice(await openNodeGpu());
    config = expectInput(await openLlama2c(memorySource('stories260K.bin', bytes))).config;
  });
  afterAll(() => opened?.close());

  /** A ring of stages on one device; `kill` ends a stage and begins another in its place. */
  async function ringOf(plan: ServePlan) {
    const anybody = { bytes: undefined, bytesPerSecond: undefined };
    const split =
      splitLayers(
        needsOf(plan),
        Array.from({ length: plan.stages }, () => anybody),
      ) ?? [];
    const tokens: ChosenToken[] = [];
    let heard = (): void => {};
    let problem: unknown;
    const request = {
      prompt: 1,
      promptTokens: [...(run?.prompt_tokens ?? [])],
      count: 2,
      sampling: greedy,
      samples: [2, 3].map((stream) => ({ stream, sample: stream - 2 })),
    };
    const open = (inbox: StageInbox): void => {
      const samples = request.samples.map(({ stream, sample }) => ({
        stream,
        sample,
        tokens: tokens.filter((one) => one.stream === stream).map(({ token }) => token),
      }));
      inbox.tell([{ type: 'open', request: { ...request, samples } }]);
    };
    let lives = 0;
    const stages: { inbox: StageInbox; name: string; end: () => Promise<void> }[] = [];
    const wire = (index: number): void => {
      const nameOf = (of: number) =>
        stages.length === 1 ? undefined : stages[(of + stages.length) % stages.length]?.name;
      stages[index]?.inbox.tell([{ type: 'wired', previous: nameOf(index - 1), next: nameOf(index + 1) }]);
    };
    const start = async (index: number) => {
      const abort = new AbortController();
      const name = `life ${lives++}`;
      let ready = (): void => {};
      const isReady = new Promise<void>((resolve) => (ready = resolve));
      const said = (replies: readonly StageReply[]): void => {
        // What a stage said before it died is lost.
        if (abort.signal.aborted) return;
        for (const reply of replies) {
          if (reply.type === 'ready') ready();
          else if (reply.type === 'want') {
            stages[(index + plan.stages - 1) % plan.stages]?.inbox.tell([{ ...reply, from: name }]);
          } else if (reply.type === 'tokens' && reply.to === 'hub') {
            tokens.push(...reply.tokens.filter((token) => !tokens.some((one) => isSame(one, token))));
            heard();
          } else if (reply.type === 'tokens') {
            stages[(index + 1) % plan.stages]?.inbox.tell([{ type: 'tokens', tokens: reply.tokens }]);
          } else if (reply.type === 'rows') stages[(index + 1) % plan.stages]?.inbox.tell([reply]);
        }
      };
      const inbox = createStageInbox(abort.signal, said);
      const program = await openServeProgram(manifestOf(plan), opened.device, {
        read: async () => bytes,
        readRange: async (_artifact, from, to) => bytes.slice(from, to),
      });
      const lease = { pipeline: 0, stage: index, stages: plan.stages, ...split[index] } as const;
      const running = program
        .run({
          unit: index,
          stage: { lease: { firstLayer: 0, layers: 1, ...lease }, channel: inbox.channel },
          signal: abort.signal,
          progress: () => undefined,
        })
        .catch((error: unknown) => {
          if (!abort.signal.aborted) problem = error;
          heard();
          ready();
        });
      const end = async () => {
        abort.abort();
        await running;
        program.close();
      };
      await isReady;
      return { inbox, name, end };
    };
    for (let index = 0; index < plan.stages; index++) stages.push(await start(index));
    for (const [index, { inbox }] of stages.entries()) {
      wire(index);
      open(inbox);
    }
    return {
      tokens,
      until: async (count: number) => {
        while (tokens.length < count) {
          if (problem !== undefined) throw problem;
          await new Promise<void>((resolve) => (heard = resolve));
        }
      },
      kill: async (index: number) => {
        await stages[index]?.end();
        const next = await start(index);
        stages[index] = next;
        for (const near of stages.keys()) wire(near);
        open(next.inbox);
      },
      close: async () => {
        for (const { end } of stages) await end();
      },
    };
  }

  const isSame = (a: ChosenToken, b: ChosenToken): boolean => a.stream === b.stream && a.position === b.position;
  const sampleOf = (tokens: readonly ChosenToken[], stream: number) => tokens.filter((one) => one.stream === stream);
  const expected = run?.tokens.slice(run.prompt_tokens.length, run.prompt_tokens.length + greedy.maxTokens);

  test('gives the tokens of the whole, and the same bits, in 1, 2, 3 and 5 stages', async () => {
    const before = opened.device.usage();
    let whole: readonly ChosenToken[] | undefined;
    for (const stages of [1, 2, 3, 5]) {
      const ring = await ringOf(planOf(config, bytes.byteLength, { stages }));
      await ring.until(2 * greedy.maxTokens);
      await ring.close();
      const first = sampleOf(ring.tokens, 2);
      expect(first.map(({ token }) => token)).toEqual(expected);
      expect(sampleOf(ring.tokens, 3).map(({ token, logprob }) => [token, logprob])).toEqual(
        first.map(({ token, logprob }) => [token, logprob]),
      );
      whole ??= first;
      // Log-probabilities of the chosen and the runner-up, bit for bit.
      expect(first).toEqual(whole);
      expect(first[0]?.top).toHaveLength(2);
    }
    expect(opened.device.usage()).toEqual(before);
  });

  test.each(['f16', 'int8'] as const)('gives nearly the same with activations in %s', async (activations) => {
    const ring = await ringOf(planOf(config, bytes.byteLength, { stages: 3, activations }));
    await ring.until(2 * greedy.maxTokens);
    await ring.close();
    const tokens = sampleOf(ring.tokens, 2).map(({ token }) => token);
    const same = tokens.findIndex((token, index) => token !== expected?.[index]);
    const count = same === -1 ? tokens.length : same;
    console.log(`${activations}: ${count} of ${tokens.length} tokens are those of f32`);
    expect(count).toBeGreaterThan(activations === 'f16' ? 40 : 4);
  });

  test.each([0, 1, 2])('goes on with the same tokens when stage %i of 3 is taken over', async (stage) => {
    const ring = await ringOf(planOf(config, bytes.byteLength, { stages: 3 }));
    await ring.until(40);
    await ring.kill(stage);
    await ring.until(2 * greedy.maxTokens);
    await ring.close();
    for (const stream of [2, 3]) expect(sampleOf(ring.tokens, stream).map(({ token }) => token)).toEqual(expected);
  });
});
