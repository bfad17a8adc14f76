/**
 * SGD with momentum, plain or Nesterov's (Sutskever et al. 2013), over one flat buffer in one dispatch, with the meaning that
 * PyTorch gives it: no dampening, momentum starts at 0. DiLoCo's outer step is this with Nesterov, where the mean of what
 * the workers moved plays the gradient (`learning/diloco.ts`). Clipping is folded in as in `adamw.ts`.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';

const kernel = defineKernel({
  shader: 'sgd',
  tensors: ['gradients', 'squared_norm', '>parameters', '>momenta'],
  numbers: [
    'count',
    'decay_count',
    'nesterov',
    'learning_rate:f32',
    'momentum:f32',
    'weight_decay:f32',
    'gradient_scale:f32',
    'norm_max:f32',
  ],
});

export interface SgdNumbers {
  readonly learningRate: number;
  /** 0 leaves momenta equal to the gradients. */
  readonly momentum: number;
  readonly nesterov: boolean;
  /** Added to the gradient, times the parameter; default 0. */
  readonly weightDecay?: number;
  /** Every gradient is multiplied by it first; default 1. */
  readonly gradientScale?: number;
  /** Scaled gradients are clipped to this global norm; 0 (default) clips nothing. */
  readonly normMax?: number;
}

/**
 * Updates parameters and momenta [count] in place from gradients [count]. Weight decay is that of the first `decayCount`
 * elements (default all). squaredNorm [1] is the unscaled gradients' sum of squares; it is bound but not used when normMax is 0.
 */
export function sgdDispatch(
  of: SgdNumbers & {
    readonly parameters: Tensor;
    readonly gradients: Tensor;
    readonly momenta: Tensor;
    readonly squaredNorm: Tensor;
    readonly count: number;
    readonly decayCount?: number;
  },
): Dispatch {
  const { parameters, gradients, momenta, squaredNorm, count } = of;
  return dispatchOf(
    kernel,
    { gradients, squared_norm: squaredNorm, parameters, momenta },
    {
      count,
      decay_count: of.decayCount ?? count,
      nesterov: of.nesterov ? 1 : 0,
      learning_rate: of.learningRate,
      momentum: of.momentum,
      weight_decay: of.weightDecay ?? 0,
      gradient_scale: of.gradientScale ?? 1,
      norm_max: of.normMax ?? 0,
    },
    elementGrid(count),
  );
}

export const sgdKernels = [kernel];

/** New parameters and momenta; `squaredNorm` is that of the unscaled gradients. */
export function sgdTruth(
  state: {
    readonly parameters: Float64Array;
    readonly gradients: Float64Array;
    readonly momenta: Float64Array;
  },
  of: SgdNumbers & { readonly squaredNorm: number; readonly decayCount: number },
): { parameters: Float64Array; momenta: Float64Array } {
  const { learningRate, momentum, nesterov, weightDecay = 0, gradientScale = 1, normMax = 0 } = of;
  const norm = Math.sqrt(of.squaredNorm) * Math.abs(gradientScale);
  const scale = gradientScale * (normMax > 0 ? Math.min(1, normMax / (norm + 1e-6)) : 1);
  const gradients = state.gradients.map(
    (gradient, index) => gradient * scale + (index < of.decayCount ? weightDecay * at(state.parameters, index) : 0),
  );
  const momenta = state.momenta.map((value, index) => momentum * value + at(gradients, index));
  const parameters = state.parameters.map((value, index) => {
    const carried = at(momenta, index);
    return value - learningRate * (nesterov ? at(gradients, index) + momentum * carried : carried);
  });
  return { parameters, momenta };
}

export const sgdTolerance: Tolerance = {
  absolute: 1e-6,
  relative: 2e-6,
  reason: 'four f32 operations on numbers near 1, and the root and division of clipping',
};

export function sgdCases(random: Random): KernelCase[] {
  const outer = { learningRate: 0.7, momentum: 0.9, nesterov: true };
  return [
    { count: 1, decayCount: 1, ...outer },
    { count: 97, decayCount: 65, learningRate: 0.1, momentum: 0.9, nesterov: false, weightDecay: 0.1, normMax: 1 },
    { count: 315, decayCount: 0, ...outer, gradientScale: 0.125, normMax: 1 },
    { count: 2179, decayCount: 2179, learningRate: 0.01, momentum: 0, nesterov: false, weightDecay: 0.01 },
  ].map(({ count, decayCount, ...numbers }): KernelCase => {
    const parameters = normals(random, count);
    const gradients = normals(random, count);
    const momenta = normals(random, count);
    const squaredNorm = Float32Array.of(gradients.reduce((sum, value) => sum + value * value, 0));
    const state = { parameters: toF64(parameters), gradients: toF64(gradients), momenta: toF64(momenta) };
    const { nesterov, momentum } = numbers;
    return {
      kernel: kernel.name,
      title: `${count} parameters, ${decayCount} decay, momentum ${momentum}${nesterov ? ' of Nesterov' : ''}, norm at most ${numbers.normMax ?? 0}`,
      tensors: { parameters, gradients, momenta, squaredNorm },
      dispatches: (of) => [
        sgdDispatch({
          parameters: of('parameters'),
          gradients: of('gradients'),
          momenta: of('momenta'),
          squaredNorm: of('squaredNorm'),
          count,
          decayCount,
          ...numbers,
        }),
      ],
      expected: { ...sgdTruth(state, { ...numbers, decayCount, squaredNorm: at(squaredNorm, 0) }) },
      tolerance: sgdTolerance,
    };
  });
}
