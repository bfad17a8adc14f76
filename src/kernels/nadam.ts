/**
 * NAdam (Dozat 2016, "Incorporating Nesterov momentum into Adam") over one flat buffer in one dispatch, with the meaning that
 * PyTorch gives it, momentum schedule included. Clipping by the global norm is folded in as in `adamw.ts`.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';

const kernel = defineKernel({
  shader: 'nadam',
  tensors: ['gradients', 'squared_norm', '>parameters', '>first_moments', '>second_moments'],
  numbers: [
    'count',
    'decay_count',
    'decoupled',
    'learning_rate:f32',
    'beta1:f32',
    'beta2:f32',
    'epsilon:f32',
    'weight_decay:f32',
    'gradient_rate:f32',
    'moment_rate:f32',
    'second_correction:f32',
    'gradient_scale:f32',
    'norm_max:f32',
  ],
});

export interface NadamNumbers {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Whether decay shrinks parameters, as in AdamW, rather than being a part of the gradient. */
  readonly decoupled: boolean;
  /** How fast momentum grows to beta1; PyTorch's is 0.004. */
  readonly momentumDecay: number;
  /** 1 for the first step. */
  readonly step: number;
  /** Every gradient is multiplied by it first; default 1. */
  readonly gradientScale?: number;
  /** Scaled gradients are clipped to this global norm; 0 (default) clips nothing. */
  readonly normMax?: number;
}

/** The momentum of a step: mu_t = beta1 (1 - 0.96^(t decay) / 2). */
const momentumOf = (step: number, { beta1, momentumDecay }: NadamNumbers): number =>
  beta1 * (1 - 0.5 * 0.96 ** (step * momentumDecay));

/** The product of the momenta up to this step; 1 - it no longer changes once it is below 1e-20. */
function momentumProduct(of: NadamNumbers): number {
  let product = 1;
  for (let step = 1; step <= of.step && product > 1e-20; step++) product *= momentumOf(step, of);
  return product;
}

/** What gradient and moment are multiplied by, learning rate included. */
export function nadamRates(of: NadamNumbers): { readonly gradient: number; readonly moment: number } {
  const [now, next, product] = [momentumOf(of.step, of), momentumOf(of.step + 1, of), momentumProduct(of)];
  return {
    gradient: (of.learningRate * (1 - now)) / (1 - product),
    moment: (of.learningRate * next) / (1 - product * next),
  };
}

/**
 * Updates parameters, firstMoments and secondMoments [count] in place from gradients [count]. The first `decayCount` elements
 * decay (default all). squaredNorm [1] is the unscaled gradients' sum of squares; bound but not used when normMax is 0.
 */
export function nadamDispatch(
  of: NadamNumbers & {
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
  const rates = nadamRates(of);
  return dispatchOf(
    kernel,
    { gradients, squared_norm: squaredNorm, parameters, first_moments: firstMoments, second_moments: secondMoments },
    {
      count,
      decay_count: of.decayCount ?? count,
      decoupled: of.decoupled ? 1 : 0,
      learning_rate: of.learningRate,
      beta1: of.beta1,
      beta2: of.beta2,
      epsilon: of.epsilon,
      weight_decay: of.weightDecay,
      gradient_rate: rates.gradient,
      moment_rate: rates.moment,
      second_correction: 1 / (1 - of.beta2 ** of.step),
      gradient_scale: of.gradientScale ?? 1,
      norm_max: of.normMax ?? 0,
    },
    elementGrid(count),
  );
}

export const nadamKernels = [kernel];

/** New parameters and moments; `squaredNorm` is that of the unscaled gradients. */
export function nadamTruth(
  state: {
    readonly parameters: Float64Array;
    readonly gradients: Float64Array;
    readonly firstMoments: Float64Array;
    readonly secondMoments: Float64Array;
  },
  of: NadamNumbers & { readonly squaredNorm: number; readonly decayCount: number },
): { parameters: Float64Array; firstMoments: Float64Array; secondMoments: Float64Array } {
  const { learningRate, beta1, beta2, epsilon, weightDecay, decoupled, step, gradientScale = 1, normMax = 0 } = of;
  const norm = Math.sqrt(of.squaredNorm) * Math.abs(gradientScale);
  const scale = gradientScale * (normMax > 0 ? Math.min(1, normMax / (norm + 1e-6)) : 1);
  const decayOf = (index: number): number => (index < of.decayCount ? weightDecay : 0);
  const gradients = state.gradients.map(
    (gradient, index) => gradient * scale + (decoupled ? 0 : decayOf(index) * at(state.parameters, index)),
  );
  const firstMoments = state.firstMoments.map((m, index) => beta1 * m + (1 - beta1) * at(gradients, index));
  const secondMoments = state.secondMoments.map((v, index) => beta2 * v + (1 - beta2) * at(gradients, index) ** 2);
  let product = 1;
  for (let t = 1; t <= step; t++) product *= momentumOf(t, of);
  const [now, next] = [momentumOf(step, of), momentumOf(step + 1, of)];
  const parameters = state.parameters.map((value, index) => {
    const decayed = decoupled ? value * (1 - learningRate * decayOf(index)) : value;
    const root = Math.sqrt(at(secondMoments, index) / (1 - beta2 ** step)) + epsilon;
    const byGradient = ((1 - now) / (1 - product)) * at(gradients, index);
    const byMoment = (next / (1 - product * next)) * at(firstMoments, index);
    return decayed - (learningRate * (byGradient + byMoment)) / root;
  });
  return { parameters, firstMoments, secondMoments };
}

export const nadamTolerance: Tolerance = {
  absolute: 1e-6,
  relative: 2e-6,
  reason:
    'one step moves a parameter by some learning rates; sqrt and division are off by some units in the last place',
};

export function nadamCases(random: Random): KernelCase[] {
  return [
    { count: 1, decayCount: 1, decoupled: false, step: 1, normMax: 0, gradientScale: 1 },
    { count: 97, decayCount: 65, decoupled: true, step: 3, normMax: 1, gradientScale: 1 },
    { count: 315, decayCount: 97, decoupled: false, step: 1000, normMax: 1, gradientScale: 0.125 },
    { count: 2179, decayCount: 0, decoupled: true, step: 7, normMax: 1000, gradientScale: 1 },
  ].map(({ count, decayCount, ...rest }): KernelCase => {
    const parameters = normals(random, count);
    const gradients = normals(random, count);
    const firstMoments = normals(random, count, 0.1);
    const secondMoments = normals(random, count).map((value) => 0.01 + 0.1 * value * value);
    const squaredNorm = Float32Array.of(gradients.reduce((sum, value) => sum + value * value, 0));
    const numbers = {
      learningRate: 1e-2,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0.1,
      momentumDecay: 4e-3,
      ...rest,
    };
    const state = {
      parameters: toF64(parameters),
      gradients: toF64(gradients),
      firstMoments: toF64(firstMoments),
      secondMoments: toF64(secondMoments),
    };
    return {
      kernel: kernel.name,
      title: `${count} parameters, ${decayCount} decay${rest.decoupled ? ' decoupled' : ''}, step ${rest.step}, norm at most ${rest.normMax}, scale ${rest.gradientScale}`,
      tensors: { parameters, gradients, firstMoments, secondMoments, squaredNorm },
      dispatches: (of) => [
        nadamDispatch({
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
      expected: { ...nadamTruth(state, { ...numbers, decayCount, squaredNorm: at(squaredNorm, 0) }) },
      tolerance: nadamTolerance,
    };
  });
}
