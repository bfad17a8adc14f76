/** Softmax of each row and its gradient, in the variants of `row-variants.ts`. */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import type { Tensor } from './kernel.ts';
import {
  alignedFor,
  always,
  kernelsOf,
  rowDispatchOf,
  rowKernels,
  rowVariantNamed,
  rowVariantOf,
  rowVariants,
  tellingVariants,
  trialRows,
  widthsInFours,
} from './row-variants.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at, dot } from './truth.ts';
import { sizesOf, type Choices, type Family } from './variants.ts';

const forward = rowKernels({ shader: 'softmax', tensors: ['input', '>output'], numbers: ['rows', 'width'] });
const backward = rowKernels({
  shader: 'softmax_gradient',
  tensors: ['output', 'output_gradient', '>input_gradient'],
  numbers: ['rows', 'width'],
});

export const softmaxKernels = [...kernelsOf(forward), ...kernelsOf(backward)];

/** Forward and gradient; the trial times the forward pass. */
export const softmaxFamily: Family = {
  name: 'softmax',
  variants: rowVariants,
  bound: 'bytes',
  trial: (bucket, random) => {
    const { width = 1 } = sizesOf(bucket);
    const rows = trialRows(width);
    const input = normals(random, rows * width, 3);
    const expected = softmaxTruth(toF64(input), width);
    return {
      caseOf: (variant) => forwardCase(variant, input, width, expected),
      work: 8 * rows * width,
    };
  },
  shown: ['width:128', 'width:1024', 'width:65536'],
};

/**
 * output = exp(input - largest) / sum of each row. Shapes: input and output [rows, width]. A row with NaN or plus
 * infinity is NaN throughout; minus infinity gives 0, unless the whole row is, which gives NaN.
 */
export function softmaxDispatch(of: {
  readonly input: Tensor;
  readonly output: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly choices?: Choices;
}): Dispatch {
  const { input, output, rows, width, choices } = of;
  const variant = rowVariantOf(softmaxFamily, width, choices);
  return rowDispatchOf(forward, variant, { input, output }, { rows, width }, { rows, width });
}

/** inputGradient = output * (outputGradient - sum(output * outputGradient)) of each row; all [rows, width]. */
export function softmaxGradientDispatch(of: {
  /** What the forward pass gave. */
  readonly output: Tensor;
  readonly outputGradient: Tensor;
  readonly inputGradient: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly choices?: Choices;
}): Dispatch {
  const { output, outputGradient, inputGradient, rows, width, choices } = of;
  const tensors = { output, output_gradient: outputGradient, input_gradient: inputGradient };
  return rowDispatchOf(
    backward,
    rowVariantOf(softmaxFamily, width, choices),
    tensors,
    { rows, width },
    { rows, width },
  );
}

export function softmaxTruth(input: Float64Array, width: number): Float64Array {
  const output = new Float64Array(input.length);
  for (let start = 0; start < input.length; start += width) {
    const row = input.subarray(start, start + width);
    const largest = row.reduce((a, b) => Math.max(a, b));
    const parts = row.map((value) => Math.exp(value - largest));
    const sum = parts.reduce((a, b) => a + b, 0);
    output.set(
      parts.map((part) => part / sum),
      start,
    );
  }
  return output;
}

export const softmaxGradientTruth = (output: Float64Array, pull: Float64Array, width: number): Float64Array =>
  output.map((value, index) => {
    const start = Math.floor(index / width) * width;
    return value * (at(pull, index) - dot(output, start, pull, start, width));
  });

export const softmaxTolerance: Tolerance = {
  absolute: 2e-6,
  relative: 1e-5,
  reason:
    'exp may be (3 + 2 |x|) units off in the last place for x down to about -20, and up to 65,536 of them are summed',
};

function forwardCase(
  variant: string,
  input: Float32Array,
  width: number,
  expected: Float64Array,
  remark = '',
): KernelCase {
  const rows = input.length / width;
  return {
    kernel: 'softmax',
    variant: rowVariantNamed(variant),
    ...alignedFor(width),
    title: `${variant}, rows ${rows}, width ${width}${remark}`,
    tensors: { input, output: new Float32Array(input.length) },
    dispatches: (of) => [
      softmaxDispatch({ input: of('input'), output: of('output'), rows, width, choices: always(variant) }),
    ],
    expected: { output: expected },
    tolerance: softmaxTolerance,
  };
}

/** Minus infinity where a mask would put it, and numbers whose sum overflows: neither makes a row NaN. */
function maskedCase(variant: string, random: Random): KernelCase {
  const width = 316;
  const input = normals(random, 2 * width, 3);
  input.fill(-Infinity, 100, width);
  input.fill(3e38, width + 5, width + 9);
  return forwardCase(variant, input, width, softmaxTruth(toF64(input), width), ', minus infinity and large numbers');
}

function gradientCase(variant: string, output: Float32Array, outputGradient: Float32Array, width: number): KernelCase {
  const rows = output.length / width;
  return {
    kernel: 'softmax_gradient',
    variant: rowVariantNamed(variant),
    ...alignedFor(width),
    title: `${variant}, rows ${rows}, width ${width}`,
    tensors: { output, outputGradient, inputGradient: new Float32Array(output.length) },
    dispatches: (of) => [
      softmaxGradientDispatch({
        output: of('output'),
        outputGradient: of('outputGradient'),
        inputGradient: of('inputGradient'),
        rows,
        width,
        choices: always(variant),
      }),
    ],
    expected: { inputGradient: softmaxGradientTruth(toF64(output), toF64(outputGradient), width) },
    tolerance: softmaxTolerance,
  };
}

export function softmaxCases(random: Random): KernelCase[] {
  const cases = rowVariants.flatMap(({ name }) => {
    const more = name === 'group-32' ? [{ rows: 1, width: 1 }] : [];
    const sizes = [...more, { rows: 65, width: 3 }, { rows: 9, width: 315 }, ...widthsInFours(name)];
    return sizes.flatMap(({ rows, width }) => {
      const input = normals(random, rows * width, 3);
      const output = softmaxTruth(toF64(input), width);
      const found = forwardCase(name, input, width, output);
      if (!tellingVariants.includes(name)) return [found];
      return [found, gradientCase(name, Float32Array.from(output), normals(random, rows * width), width)];
    });
  });
  return [...cases, ...rowVariants.map(({ name }) => maskedCase(name, random))];
}
