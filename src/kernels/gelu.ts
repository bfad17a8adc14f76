/**
 * GELU (Hendrycks and Gimpel, "Gaussian error linear units", 2016) and its gradient, in both forms of ONNX's `Gelu`: `erf`,
 * x * Phi(x), and `tanh`, the approximation that GPT-2 uses.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, stridedGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';

export type GeluForm = 'tanh' | 'erf';

const forward = defineKernel({ shader: 'gelu', tensors: ['input', '>output'], numbers: ['count', 'form'] });
const backward = defineKernel({
  shader: 'gelu_gradient',
  tensors: ['input', 'output_gradient', '>input_gradient'],
  numbers: ['count', 'form'],
});

export const geluKernels = [forward, backward];

const formNumber = (form: GeluForm): number => (form === 'tanh' ? 0 : 1);

/** output = gelu(input), both [count]. */
export function geluDispatch(of: {
  readonly input: Tensor;
  readonly output: Tensor;
  readonly count: number;
  readonly form: GeluForm;
}): Dispatch {
  const { input, output, count, form } = of;
  return dispatchOf(forward, { input, output }, { count, form: formNumber(form) }, stridedGrid(count));
}

/** inputGradient = outputGradient * gelu'(input), all [count]. */
export function geluGradientDispatch(of: {
  readonly input: Tensor;
  readonly outputGradient: Tensor;
  readonly inputGradient: Tensor;
  readonly count: number;
  readonly form: GeluForm;
}): Dispatch {
  const { input, outputGradient, inputGradient, count, form } = of;
  const tensors = { input, output_gradient: outputGradient, input_gradient: inputGradient };
  return dispatchOf(backward, tensors, { count, form: formNumber(form) }, stridedGrid(count));
}

export const geluTruth = (input: Float64Array, form: GeluForm): Float64Array =>
  input.map((x) => (form === 'erf' ? x * normalBelow(x) : x / (1 + Math.exp(-2 * inner(x)))));

export const geluGradientTruth = (input: Float64Array, pull: Float64Array, form: GeluForm): Float64Array =>
  input.map((x, index) => {
    if (form === 'erf')
      return at(pull, index) * (normalBelow(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI));
    const share = 1 / (1 + Math.exp(-2 * inner(x)));
    const slope = rootOf2OverPi * (1 + 3 * cubic * x * x);
    return at(pull, index) * (share + 2 * x * share * (1 - share) * slope);
  });

const rootOf2OverPi = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;
const inner = (x: number): number => rootOf2OverPi * (x + cubic * x ** 3);

/** The normal distribution's share below x, by its series; to about 1e-14 for |x| up to 6, beyond which it is 0 or 1 to 1e-9. */
export function normalBelow(x: number): number {
  if (!(Math.abs(x) <= 6)) return Number.isNaN(x) ? x : x > 0 ? 1 : 0;
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= (x * x) / (2 * n + 1);
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

export const geluTolerance: Tolerance = {
  absolute: 2e-6,
  relative: 4e-6,
  reason:
    'erf is a polynomial that is off by at most 1.5e-7, times inputs up to about 10; exp and division by some units',
};

export function geluCases(random: Random): KernelCase[] {
  return (['tanh', 'erf'] as const).flatMap((form) =>
    [1, 2179].flatMap((count): KernelCase[] => {
      const input = normals(random, count, 3);
      const outputGradient = normals(random, count);
      const title = `${form}, ${count} elements`;
      return [
        {
          kernel: forward.name,
          title,
          tensors: { input, output: new Float32Array(count) },
          dispatches: (of) => [geluDispatch({ input: of('input'), output: of('output'), count, form })],
          expected: { output: geluTruth(toF64(input), form) },
          tolerance: geluTolerance,
        },
        {
          kernel: backward.name,
          title,
          tensors: { input, outputGradient, inputGradient: new Float32Array(count) },
          dispatches: (of) => [
            geluGradientDispatch({
              input: of('input'),
              outputGradient: of('outputGradient'),
              inputGradient: of('inputGradient'),
              count,
              form,
            }),
          ],
          expected: { inputGradient: geluGradientTruth(toF64(input), toF64(outputGradient), form) },
          tolerance: geluTolerance,
        },
      ];
    }),
  );
}
