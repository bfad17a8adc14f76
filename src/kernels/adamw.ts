/**
 * AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) over one flat buffer in one dispatch, with
 * the meaning that PyTorch gives it; clipping by the global norm is folded in and reads the norm from the device.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, inFours, stridedGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { at } from './truth.ts';

const declaration = {
  tensors: ['gradients', 'squared_norm', '>parameters', '>first_moments', '>second_moments'] as const,
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
  ] as const,
};
const kernel = defineKernel({ shader: 'adamw', ...declaration });
/** Four parameters at once, where counts and offsets are multiples of four. */
const kernelOfFours = defineKernel({ shader: 'adamw_vec4', ...declaration });

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
  const { parameters, gradients, firstMoments, secondMoments, squaredNorm, count, decayCount = count } = of;
  const fours = decayCount % 4 === 0 && inFours(count, parameters, gradients, firstMoments, secondMoments);
  return dispatchOf(
    fours ? kernelOfFours : kernel,
    { gradients, squared_norm: squaredNorm, parameters, first_moments: firstMoments, second_moments: secondMoments },
    {
      count,
      decay_count: decayCount,
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
    stridedGrid(Math.ceil((fours ? count / 4 : count) / turns)),
  );
}

export const adamwKernels = [kernel, kernelOfFours];

/** Elements, or fours, that an invocation updates: what it works out beforehand costs as much as two of them. */
const turns = 8;

/** New parameters and moments; `squaredNorm` is that of the unscaled gradients. */
export function adamwTruth(
  state: {
    readonly parameters: Float64Array;
    readonly gradients: Float64Array;
    readonly firstMoments: Float64Array;
    readonly secondMoments: Float64Array;
  },
  of: AdamwNumbers & { readonly squaredNorm: number; readonly decayCount: number },
): { parameters: Float64Array; firstMoments: Float64Array; secondMoments: Float64Array } {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale = 1, normMax = 0 } = of;
  const norm = Math.sqrt(of.squaredNorm) * Math.abs(gradientScale);
  const scale = gradientScale * (normMax > 0 ? Math.min(1, normMax / (norm + 1e-6)) : 1);
  const gradients = state.gradients.map((gradient) => gradient * scale);
  const firstMoments = state.firstMoments.map((m, index) => beta1 * m + (1 - beta1) * at(gradients, index));
  const secondMoments = state.secondMoments.map((v, index) => beta2 * v + (1 - beta2) * at(gradients, index) ** 2);
  const parameters = state.parameters.map((value, index) => {
    const decayed = index < of.decayCount ? value * (1 - learningRate * weightDecay) : value;
    const mean = at(firstMoments, index) / (1 - beta1 ** step);
    const root = Math.sqrt(at(secondMoments, index) / (1 - beta2 ** step)) + epsilon;
    return decayed - (learningRate * mean) / root;
  });
  return { parameters, firstMoments, secondMoments };
}

export const adamwTolerance: Tolerance = {
  absolute: 1e-6,
  relative: 2e-6,
  reason:
    'one step moves a parameter by about the learning rate; sqrt and division are off by some units in the last place',
};

export function adamwCases(random: Random): KernelCase[] {
  return [
    { count: 1, decayCount: 1, step: 1, normMax: 0, gradientScale: 1 },
    { count: 97, decayCount: 65, step: 3, normMax: 1, gradientScale: 1 },
    { count: 315, decayCount: 0, step: 1000, normMax: 1, gradientScale: 0.125 },
    { count: 315, decayCount: 315, step: 7, normMax: 1000, gradientScale: 1 },
    { count: 2180, decayCount: 1096, step: 7, normMax: 1, gradientScale: 0.5 },
  ].map(({ count, decayCount, ...rest }): KernelCase => {
    const parameters = normals(random, count);
    const gradients = normals(random, count);
    const firstMoments = normals(random, count, 0.1);
    const secondMoments = normals(random, count, 0.1).map((value) => value * value);
    const squaredNorm = Float32Array.of(gradients.reduce((sum, value) => sum + value * value, 0));
    const numbers = { learningRate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, ...rest };
    const state = {
      parameters: toF64(parameters),
      gradients: toF64(gradients),
      firstMoments: toF64(firstMoments),
      secondMoments: toF64(secondMoments),
    };
    const fours = count % 4 === 0;
    return {
      ...(fours && { alignment: 4 as const }),
      kernel: fours ? kernelOfFours.name : kernel.name,
      title: `${count} parameters, ${decayCount} decay, step ${rest.step}, norm at most ${rest.normMax}, scale ${rest.gradientScale}`,
      tensors: { parameters, gradients, firstMoments, secondMoments, squaredNorm },
      dispatches: (of) => [
        adamwDispatch({
          parameters: of('parameters'),
          gradients: of('gradients'),
          firstMoments: of('firstMoments'),
          secondMoments: of('secondMoments'),
          squaredNorm: of('squaredNorm'),
          count,
          decayCount,
          ...numbers,
        }),
      ],
      expected: { ...adamwTruth(state, { ...numbers, decayCount, squaredNorm: at(squaredNorm, 0) }) },
      tolerance: adamwTolerance,
    };
  });
}
