/**
 * Which token comes next, as the GPU's sampling kernel decides it, on the CPU: for checking what a volunteer returned
 * against logits. A draw depends on (seed, sample, position) alone, so a sample's tokens do not depend on the tab that
 * makes them or on what they are batched with.
 */

import { philox, u32ToUnit } from '../core/prng.ts';
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

/** Keeps these draws apart from all others of the same seed. */
const problemDomain = 0x70726f62;

/**
 * The seed of one problem among many, so that sample n of one has nothing to do with sample n of another; `part` tells the
 * several jobs of a problem apart. 53 bits, as manifests hold them.
 */
export function seedOfProblem(seed: number, index: number, part = 0): number {
  const [high, low] = philox([index, part, 0, problemDomain], [seed >>> 0, Math.floor(seed / 0x100000000) >>> 0]);
  return (high & 0x1fffff) * 0x100000000 + low;
}

function logSumExp(logits: ArrayLike<number>): number {
  const values = Array.from(logits);
  const largest = values.reduce((most, x) => Math.max(most, x), -Infinity);
  return largest + Math.log(values.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}
