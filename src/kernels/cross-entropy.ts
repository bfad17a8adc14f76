/**
 * Softmax and cross-entropy in one: the loss of each row, and the logits replaced by their gradient, because the
 * logits are a model's largest activation and nothing needs them afterwards.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, rowGrid, type Tensor } from './kernel.ts';
import { normals, toF64, whole, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { at } from './truth.ts';

const kernel = defineKernel({
  shader: 'cross_entropy',
  tensors: ['targets:u32', '>logits', '>losses'],
  numbers: ['rows', 'vocabulary', 'gradient_scale:f32'],
});

/** A target that counts for nothing: loss 0, gradient 0. Padding. */
export const targetIgnored = 0xffffffff;

/**
 * losses[row] = log(sum(exp(logits[row]))) - logits[row, target] in nats;
 * logits[row] = gradientScale * (softmax(logits[row]) - one at target). For a mean over n counted rows use 1 / n.
 * Shapes: targets u32 [rows], logits [rows, vocabulary] in place, losses [rows]. Targets at or above the vocabulary are ignored.
 */
export function crossEntropyDispatch(of: {
  readonly targets: Tensor;
  readonly logits: Tensor;
  readonly losses: Tensor;
  readonly rows: number;
  readonly vocabulary: number;
  readonly gradientScale: number;
}): Dispatch {
  const { targets, logits, losses, rows, vocabulary, gradientScale } = of;
  return dispatchOf(
    kernel,
    { targets, logits, losses },
    { rows, vocabulary, gradient_scale: gradientScale },
    rowGrid(rows),
  );
}

export const crossEntropyKernels = [kernel];

export function crossEntropyTruth(
  logits: Float64Array,
  targets: Uint32Array,
  gradientScale: number,
): { losses: Float64Array; logits: Float64Array } {
  const vocabulary = logits.length / targets.length;
  const losses = new Float64Array(targets.length);
  const gradient = new Float64Array(logits.length);
  targets.forEach((target, row) => {
    if (target >= vocabulary) return;
    const own = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
    const largest = own.reduce((a, b) => Math.max(a, b));
    const logTotal = largest + Math.log(own.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
    losses[row] = logTotal - at(own, target);
    own.forEach((logit, token) => {
      gradient[row * vocabulary + token] = gradientScale * (Math.exp(logit - logTotal) - (token === target ? 1 : 0));
    });
  });
  return { losses, logits: gradient };
}

export const crossEntropyTolerance: Tolerance = {
  absolute: 1e-5,
  relative: 1e-5,
  reason: 'exp may be (3 + 2 |x|) units off in the last place, and up to 2179 of them are summed',
};

export function crossEntropyCases(random: Random): KernelCase[] {
  return [
    { rows: 1, vocabulary: 1 },
    { rows: 3, vocabulary: 2179 },
    { rows: 65, vocabulary: 97 },
  ].map(({ rows, vocabulary }): KernelCase => {
    const logits = normals(random, rows * vocabulary, 4);
    const targets = whole(random, rows, vocabulary);
    if (rows > 3) targets[1] = targetIgnored;
    const gradientScale = 1 / rows;
    return {
      kernel: kernel.name,
      title: `rows ${rows}, vocabulary ${vocabulary}`,
      tensors: { targets, logits, losses: new Float32Array(rows) },
      dispatches: (of) => [
        crossEntropyDispatch({
          targets: of('targets'),
          logits: of('logits'),
          losses: of('losses'),
          rows,
          vocabulary,
          gradientScale,
        }),
      ],
      expected: { ...crossEntropyTruth(toF64(logits), targets, gradientScale) },
      tolerance: crossEntropyTolerance,
    };
  });
}
