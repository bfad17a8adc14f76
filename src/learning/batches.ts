/**
 * Which tokens a worker sees at a step: windows of context + 1 tokens, drawn by (seed, seat, step, sequence) alone, so that
 * any volunteer in that seat sees the same. Each seat has a contiguous shard of its own, and the validation tail, the last
 * fraction of the data, is in no shard. Reading the bytes is the program's.
 */

import { philox, type PhiloxKey } from '../core/prng.ts';
import { ok, problem, type Result } from '../core/result.ts';
import type { TrainPlan } from '../protocol/manifest.ts';

/** Tokens from `start` up to, but not including, `end`. */
export interface TokenRange {
  readonly start: number;
  readonly end: number;
}

/**
 * One measurement of the validation loss looks at as many tokens as this many training batches (its cost is then that of
 * about three steps), but at 1,024 to 16,384 of them: the standard error is then below 0.06 nats.
 */
const validationBatches = 8;
export const validationTokensMin = 1024;
export const validationTokensMax = 16_384;

/** Keeps these draws apart from all others of the same seed. */
const batchDomain = 0x62617463;

/** Where the validation tail begins. */
export const validationStart = (plan: TrainPlan): number =>
  plan.data.bytes - Math.max(1, Math.floor(plan.data.bytes * plan.validation));

/** The part of the data that this seat trains on. */
export function shardOf(plan: TrainPlan, seat: number): TokenRange {
  const tokens = validationStart(plan);
  const edge = (index: number): number => Math.floor((tokens * index) / plan.method.workers);
  return { start: edge(seat), end: edge(seat + 1) };
}

/** The plan, if every shard and the validation tail hold at least one window. */
export function checkTrainPlan(plan: TrainPlan): Result<TrainPlan> {
  const window = plan.model.context + 1;
  const start = validationStart(plan);
  const shard = Math.floor(start / plan.method.workers);
  if (plan.model.vocabulary > 256) {
    return problem(
      'train',
      `train: a vocabulary of ${plan.model.vocabulary} does not fit token ids of one byte; use 256`,
    );
  }
  if (shard < window) {
    return problem(
      'train',
      `train: ${plan.method.workers} workers have ${shard} tokens each, a sequence needs ${window}; give more text`,
    );
  }
  if (plan.data.bytes - start < window) {
    return problem(
      'train',
      `train: ${plan.data.bytes - start} tokens for validation, a sequence needs ${window}; raise data.validation`,
    );
  }
  return ok(plan);
}

/** Where the batch's windows of context + 1 tokens begin, one for each sequence. `step` is the global inner step. */
export function trainingWindows(plan: TrainPlan, seat: number, step: number): number[] {
  const { start, end } = shardOf(plan, seat);
  const choices = end - start - plan.model.context;
  const key: PhiloxKey = [plan.seed >>> 0, Math.floor(plan.seed / 0x100000000) >>> 0];
  return Array.from({ length: plan.batch }, (_, sequence) => {
    const [word] = philox([step, sequence, seat, batchDomain], key);
    return start + Math.floor((word / 0x100000000) * choices);
  });
}

/** The same fixed windows for every measurement, evenly spread over the validation tail without overlap. */
export function validationWindows(plan: TrainPlan): number[] {
  const { context } = plan.model;
  const start = validationStart(plan);
  const fitting = Math.floor((plan.data.bytes - start - 1) / context);
  const tokens = validationBatches * plan.batch * context;
  const wanted = Math.ceil(Math.min(validationTokensMax, Math.max(validationTokensMin, tokens)) / context);
  const count = Math.min(fitting, wanted);
  const spare = plan.data.bytes - start - context - 1;
  return Array.from(
    { length: count },
    (_, index) => start + (count === 1 ? 0 : Math.floor((spare * index) / (count - 1))),
  );
}
