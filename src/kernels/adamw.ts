/**
 * AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) over one flat buffer in one dispatch, with
 * the meaning that PyTorch gives it; clipping by the global norm is folded in and reads the norm from the device.
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

const kernel = defineKernel({
  shader: 'adamw',
  tensors: ['gradients', 'squared_norm', '>parameters', '>first_moments', '>second_moments'],
  numbers: [
    'count',
    'decay_count',
    'learning_rate:f32',
    'beta1:f32',
    'beta2:f32',
    'epsilon:f32',
    'weight_decay:f32',
    'first_correction:f32',
    'second_correction:f32',
    'gradient_scale:f32',
    'norm_max:f32',
  ],
});

export interface AdamwNumbers {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** 1 for the first step. */
  readonly step: number;
  /** Every gradient is multiplied by it first (one over the token count, when gradients are sums); default 1. */
  readonly gradientScale?: number;
  /** Scaled gradients are clipped to this global norm; 0 (default) clips nothing. */
  readonly normMax?: number;
}

/**
 * Updates parameters, firstMoments and secondMoments [count] in place from gradients [count].
 *
 * Weight decay's rule: the first `decayCount` elements decay (default all), the rest do not. So lay matrices first in the
 * flat buffer and norm weights last. squaredNorm [1] is the unscaled gradients' sum of squares
 * (`squaredNormDispatches`); it is bound but not used when normMax is 0.
 */
export function adamwDispatch(
  of: AdamwNumbers & {
    readonly parameters: Tensor;
    readonly gradients: Tensor;
    readonly firstMoments: Tensor;
    readonly secondMoments: Tensor;
    readonly squaredNorm: Tensor;
    readonly count: number;
    readonly decayCount?: number;
  },
): Dispatch {
  const { parameters, gradients, firstMoments, secondMoments, squaredNorm, count } = of;
  return dispatchOf(
    kernel,
    { gradients, squared_norm: squaredNorm, parameters, first_moments: firstMoments, second_moments: secondMoments },
    {
      count,
      decay_count: of.decayCount ?? count,
      learning_rate: of.learningRate,
      beta1: of.beta1,
      beta2: of.beta2,
      epsilon: of.epsilon,
      weight_decay: of.weightDecay,
      first_correction: 1 / (1 - of.beta1 ** of.step),
      second_correction: 1 / (1 - of.beta2 ** of.step),
      gradient_scale: of.gradientScale ?? 1,
      norm_max: of.normMax ?? 0,
    },
    gridOf(count, 64),
  );
}
