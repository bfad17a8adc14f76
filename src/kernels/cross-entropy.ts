/**
 * Softmax and cross-entropy in one: the loss of each row, and the logits replaced by their gradient, because the
 * logits are a model's largest activation and nothing needs them afterwards.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, rowGrid, type Tensor } from './kernel.ts';

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
