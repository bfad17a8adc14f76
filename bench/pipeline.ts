/**
 * The suite `pipeline`: what it costs to send a model's rows from tab to tab. One small random model is served whole and cut
 * into stages, in tabs of this machine; of the time of a token what the stages' GPUs took is left out, and the rest, shared
 * among the hops of its way around, is held against the round trip of the links. Then how many more tokens come when several
 * users ask at once.
 */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { prepareServeJob, serveDefaults } from '../src/assembly/serve-job.ts';
import type { Swarm } from '../src/assembly/swarm.ts';
import { memorySource } from '../src/core/byte-source.ts';
import type { JobId } from '../src/core/ids.ts';
import { expectInput } from '../src/core/result.ts';
import { initialParameters } from '../src/models/llama-parameters.ts';
import { encodeTokenizerBundle } from '../src/models/tokenizer-bundle.ts';
import { encodeLlama } from '../src/models/weights/encode-llama.ts';
import { openLocalSwarm } from '../src/node/local-swarm.ts';
import { connect } from '../src/node/sdk.ts';
import type { ModelConfig } from '../src/protocol/manifest.ts';

export interface PipelineReport {
  readonly stages: number;
  /** Milliseconds from token to token of one answer. */
  readonly tokenMs: number;
  /** Of these, what the stages' GPUs were busy, all stages together. */
  readonly gpuMs: number;
  /** What is left, for each message that a token's way around takes (the word to the hub is not on it). */
  readonly hopMs: number | null;
  /** The middle round trip of the links between neighbours, as their pings have it. */
  readonly roundTripMs: number | null;
  /** Tokens a second of eight requests at once, against one. */
  readonly gain: number;
}

const model: ModelConfig = {
  architecture: 'llama',
  layers: 6,
  width: 64,
  hidden: 172,
  heads: 8,
  keyValueHeads: 4,
  vocabulary: 256,
  context: 256,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};

const tokensOfAnswer = 120;
const usersAtOnce = 8;
const tabsMax = 3;

export async function measurePipeline(say: (line: string) => void): Promise<readonly PipelineReport[]> {
  const data = await mkdtemp(join(tmpdir(), 'tabswarm-bench-'));
  await mkdir(data, { recursive: true });
  const local = await openLocalSwarm({ tabs: tabsMax, report: say });
  const swarm = await connect(local.server.url, { data });
  try {
    const reports: PipelineReport[] = [];
    for (let stages = 1; stages <= tabsMax; stages++) {
      reports.push(
        await measureStages(
          swarm,
          stages,
          local.open.map(({ page }) => page),
        ),
      );
      say(pipelineLine(reports.at(-1) as PipelineReport));
    }
    return reports;
  } finally {
    swarm.close();
    await local.close();
    await rm(data, { recursive: true, force: true });
  }
}

async function measureStages(swarm: Swarm, stages: number, pages: readonly Page[]): Promise<PipelineReport> {
  const weights = memorySource('random.safetensors', encodeLlama(model, initialParameters(model, 1)));
  const bundle = { version: 1, vocabulary: model.vocabulary, source: { kind: 'bytes' } } as const;
  const source = {
    model,
    weights,
    format: 'safetensors',
    tokenizer: expectInput(encodeTokenizerBundle(bundle)),
  } as const;
  const choices = { ...serveDefaults, name: `random in ${stages}`, stages };
  const prepared = await prepareServeJob(source, choices, swarm.prepareOptions());
  const handle = await swarm.submitter.submit(prepared);
  try {
    while (!(await isUp(swarm, prepared.job))) await pause(100);
    await answer(swarm, prepared.job, 0);
    // Links between neighbours and the numbers of the pages take a moment.
    await pause(3_000);
    const before = await workedOn(pages);
    const times = await answer(swarm, prepared.job, 1);
    await pause(2_000);
    const after = await workedOn(pages);
    const alone = times.length / secondsOf(times);
    const begun = performance.now();
    const all = await Promise.all(
      Array.from({ length: usersAtOnce }, (_, user) => answer(swarm, prepared.job, 2 + user)),
    );
    const together = all.reduce((sum, own) => sum + own.length, 0) / ((performance.now() - begun) / 1000);
    const tokenMs = (1000 * secondsOf(times)) / (times.length - 1);
    const gpuMs = after.reduce((sum, one) => {
      return (
        sum +
        perBatch(
          one,
          before.find(({ stage }) => stage === one.stage),
        )
      );
    }, 0);
    const trips = after.flatMap(({ roundTripMs }) => (Number.isNaN(roundTripMs) ? [] : [roundTripMs]));
    return {
      stages,
      tokenMs,
      gpuMs,
      hopMs: stages === 1 ? null : (tokenMs - gpuMs) / stages,
      roundTripMs: trips.length === 0 ? null : middle(trips),
      gain: together / alone,
    };
  } finally {
    handle.cancel();
    await handle.finished.catch(() => undefined);
    while ((await swarm.submitter.answering.models()).length > 0) await pause(100);
  }
}

const isUp = async (swarm: Swarm, job: JobId): Promise<boolean> =>
  (await swarm.submitter.answering.models()).some((one) => one.job === job && one.isUp);

/** When each token came. */
async function answer(swarm: Swarm, job: JobId, seed: number): Promise<number[]> {
  const times: number[] = [];
  const request = {
    promptTokens: [116, 97, 98, 115],
    firstSample: 0,
    samples: 1,
    maxTokens: tokensOfAnswer,
    temperature: 1,
    topP: 1,
    topK: 0,
    seed,
    stopTokens: [],
    topLogprobs: 0,
  };
  for await (const event of swarm.submitter.answering.ask(job, request)) {
    if (event.type === 'token') times.push(performance.now());
  }
  return times;
}

interface Worked {
  readonly stage: number;
  readonly batches: number;
  readonly gpuMs: number;
  readonly roundTripMs: number;
}

/** What the pages of the tabs that hold stages show of their work. */
async function workedOn(pages: readonly Page[]): Promise<Worked[]> {
  const shown = await Promise.all(
    pages.map(async (page) => {
      const card = page.locator('[data-stage]');
      if ((await card.count()) === 0) return undefined;
      const numberOf = async (name: string): Promise<number> => Number((await card.getAttribute(name)) ?? Number.NaN);
      return {
        stage: await numberOf('data-stage'),
        batches: await numberOf('data-batches'),
        gpuMs: await numberOf('data-gpu-ms'),
        roundTripMs: await numberOf('data-round-trip-ms'),
      };
    }),
  );
  return shown.filter((one) => one !== undefined);
}

const perBatch = (after: Worked, before: Worked | undefined): number =>
  (after.gpuMs - (before?.gpuMs ?? 0)) / Math.max(1, after.batches - (before?.batches ?? 0));

const secondsOf = (times: readonly number[]): number => ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;

const middle = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function pipelineLine({ stages, tokenMs, gpuMs, hopMs, roundTripMs, gain }: PipelineReport): string {
  const hop =
    hopMs === null ? '' : `, a hop ${hopMs.toFixed(1)} ms against a round trip of ${roundTripMs?.toFixed(1) ?? '?'} ms`;
  const tabs = stages === 1 ? '1 tab' : `${stages} tabs`;
  return (
    `pipeline over ${tabs}: a token every ${tokenMs.toFixed(1)} ms, of which GPUs are busy ${gpuMs.toFixed(1)} ms${hop}; ` +
    `${usersAtOnce} users at once get ${gain.toFixed(1)} times the tokens of one`
  );
}
