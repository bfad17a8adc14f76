/** One generation job from token ids to samples: submits it, gathers the samples of all units, and what they cost. */

import { prepareGenerateJob } from '../assembly/job.ts';
import type { Swarm } from '../assembly/swarm.ts';
import { expectInput } from '../core/result.ts';
import { decodeGeneration, type GeneratedSample } from '../inference/generation-result.ts';
import type { GenerateOptionsInput } from '../protocol/job-file.ts';
import type { JobState } from '../protocol/messages.ts';
import type { ModelSource } from './model-source.ts';
import { WorkFailedError } from './output.ts';

export interface DrawOptions {
  readonly swarm: Swarm;
  readonly source: ModelSource;
  /** Start token included. */
  readonly promptTokens: readonly number[];
  readonly stopTokens: readonly number[];
  readonly options: GenerateOptionsInput;
  readonly onChange?: ((state: JobState) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Drawn {
  /** By their numbers. */
  readonly samples: readonly GeneratedSample[];
  /** Digests of the signed receipts, unit after unit. */
  readonly receipts: readonly string[];
  readonly units: number;
}

export async function drawSamples(options: DrawOptions): Promise<Drawn> {
  const { swarm, source, promptTokens, stopTokens } = options;
  const { name, model, weights } = source;
  const prepared = await prepareGenerateJob(
    { name, model, weights, promptTokens, stopTokens },
    options.options,
    swarm.prepareOptions({ where: 'generate' }),
  );
  const handle = await swarm.submitter.submit(prepared, options.signal);
  handle.onChange(() => {
    const state = handle.state()?.state;
    if (state !== undefined) options.onChange?.(state);
  });
  const samples: GeneratedSample[] = [];
  const receipts: string[][] = [];
  for await (const { unit, bytes, by } of handle) {
    for (const sample of expectInput(decodeGeneration(prepared.manifest.generate, unit, bytes)))
      samples[sample.sample] = sample;
    receipts[unit] = by.map((one) => one.receipt);
  }
  const ended = await handle.finished;
  if (ended.state !== 'done')
    throw new WorkFailedError(`generation ${ended.state}: ${ended.reason ?? 'no reason given'}`);
  return { samples, receipts: receipts.flat(), units: prepared.manifest.units };
}
