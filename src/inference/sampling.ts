/**
 * Which token comes next, as the GPU's sampling kernel decides it, on the CPU: for checking what a volunteer returned
 * against logits. A draw depends on (seed, sample, position) alone, so a sample's tokens do not depend on the tab that
 * makes them or on what they are batched with.
 */

import { u32ToUnit } from '../core/prng.ts';
import { sampleTruth, sampleWords } from '../kernels/sample.ts';
import type { GeneratePlan } from '../protocol/manifest.ts';

export type SamplingNumbers = Pick<GeneratePlan, 'temperature' | 'topK' | 'topP' | 'seed'>;

export interface SampledToken {
  readonly token: number;
  /** Natural logarithm of its probability under softmax(logits), before temperature and cuts. */
  readonly logProbability: number;
}

/** `position` is the one that the new token will have in its sequence; temperature 0 takes the lowest argmax. */
export function sampleToken(
  logits: ArrayLike<number>,
  numbers: SamplingNumbers,
  sample: number,
  position: number,
): SampledToken {
  const token = sampleTruth(logits, u32ToUnit(sampleWords(numbers.seed, sample, position)[0]), numbers);
  return { token, logProbability: (logits[token] ?? 0) - logSumExp(logits) };
}

function logSumExp(logits: ArrayLike<number>): number {
  const values = Array.from(logits);
  const largest = values.reduce((most, x) => Math.max(most, x), -Infinity);
  return largest + Math.log(values.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}
