/**
 * DiLoCo's outer step (Douillard et al. 2023, arXiv 2311.08105): the mean of what the workers moved plays the role of a
 * gradient for SGD with Nesterov momentum, as PyTorch defines it (no dampening). Sums are f64 in the order of seats and
 * rounded to f32 once, so the same contributions give the same bits wherever this runs.
 */

import { assert } from '../core/assert.ts';

export interface OuterNumbers {
  readonly learningRate: number;
  readonly momentum: number;
}

export interface OuterResult {
  readonly parameters: Float32Array<ArrayBuffer>;
  readonly momentum: Float32Array<ArrayBuffer>;
}

/** What a worker moved, against the direction: global parameters minus its own. */
export const movedBy = (parameters: Float32Array, worker: Float32Array): Float32Array<ArrayBuffer> =>
  Float32Array.from(parameters, (x, index) => x - (worker[index] ?? 0));

/** The mean over those who really contributed; a missing worker changes the divisor, not the sum. */
export function meanDelta(deltas: readonly Float32Array[]): Float64Array {
  const [first] = deltas;
  assert(first !== undefined, 'the mean of no deltas');
  const mean = new Float64Array(first.length);
  for (const delta of deltas) {
    assert(delta.length === mean.length, `a delta of ${delta.length} elements among those of ${mean.length}`);
    for (const [index, x] of delta.entries()) mean[index] = (mean[index] ?? 0) + x;
  }
  return mean.map((sum) => sum / deltas.length);
}

/** momentum' = mu * momentum + delta; parameters' = parameters - lr * (delta + mu * momentum'). */
export function outerStep(
  parameters: Float32Array,
  delta: Float64Array,
  momentum: Float32Array,
  numbers: OuterNumbers,
): OuterResult {
  assert(
    delta.length === parameters.length && momentum.length === parameters.length,
    'an outer step on vectors of unequal length',
  );
  const newMomentum = new Float32Array(parameters.length);
  const newParameters = new Float32Array(parameters.length);
  for (const [index, slope] of delta.entries()) {
    const carried = numbers.momentum * (momentum[index] ?? 0) + slope;
    newMomentum[index] = carried;
    newParameters[index] = (parameters[index] ?? 0) - numbers.learningRate * (slope + numbers.momentum * carried);
  }
  return { parameters: newParameters, momentum: newMomentum };
}
