/**
 * LayerNorm (Ba, Kiros and Hinton, "Layer normalization", 2016): output = weight * (input - mean) * r + bias with r = 1 /
 * sqrt(variance + epsilon) of each row, the variance being the mean of squared differences; and its gradients. Variants
 * are those of `row-variants.ts`.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import type { Tensor } from './kernel.ts';
import { columnDispatchOf, columnKernels } from './reduce-columns.ts';
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
import { addAt, at, plus } from './truth.ts';
import { sizesOf, type Choices, type Family } from './variants.ts';

const forward = rowKernels({
  shader: 'layer_norm',
  tensors: ['input', 'weight', 'bias', '>output', '>mean', '>inverse_deviation'],
  numbers: ['rows', 'width', 'epsilon:f32'],
  perRow: ['mean', 'inverse_deviation'],
  sharesWeight: true,
});

const inputGradientKernels = rowKernels({
  shader: 'layer_norm_input_gradient',
  tensors: ['input', 'weight', 'mean', 'inverse_deviation', 'output_gradient', '>input_gradient'],
  numbers: ['rows', 'width', 'accumulate'],
  perRow: ['mean', 'inverse_deviation'],
});

const weightGradientKernels = columnKernels({
  shader: 'layer_norm_weight_gradient',
  tensors: ['input', 'mean', 'inverse_deviation', 'output_gradient', '>weight_gradient'],
  numbers: ['rows', 'width', 'accumulate'],
});

export const layerNormKernels = [
  ...kernelsOf(forward),
  ...kernelsOf(inputGradientKernels),
  ...weightGradientKernels.values(),
];

/** All of LayerNorm goes by one choice; the trial times the forward pass. */
export const layerNormFamily: Family = {
  name: 'layer_norm',
  variants: rowVariants,
  bound: 'bytes',
  trial: (bucket, random) => {
    const { width = 1 } = sizesOf(bucket);
    const rows = trialRows(width);
    const problem = drawProblem(random, rows, width);
    return { caseOf: (variant) => forwardCase(variant, problem), work: 8 * rows * width };
  },
  shown: ['width:128', 'width:1024', 'width:4096'],
};

/** Shapes: input and output [rows, width], weight and bias [width], mean and inverseDeviation [rows] (kept for the gradients). */
export function layerNormDispatch(of: {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly output: Tensor;
  readonly mean: Tensor;
  readonly inverseDeviation: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly epsilon: number;
  readonly choices?: Choices;
}): Dispatch {
  const { input, weight, bias, output, mean, inverseDeviation, rows, width, epsilon, choices } = of;
  const tensors = { input, weight, bias, output, mean, inverse_deviation: inverseDeviation };
  const variant = rowVariantOf(layerNormFamily, width, choices);
  return rowDispatchOf(forward, variant, tensors, { rows, width, epsilon }, { rows, width });
}

interface Backward {
  readonly input: Tensor;
  readonly mean: Tensor;
  readonly inverseDeviation: Tensor;
  readonly outputGradient: Tensor;
  readonly rows: number;
  readonly width: number;
  /** Adds to what is there instead of setting it; default false. */
  readonly accumulate?: boolean;
  readonly choices?: Choices;
}

/** inputGradient [rows, width] is set, or added to with `accumulate`, as a residual path wants it. */
export function layerNormInputGradientDispatch(
  of: Backward & { readonly weight: Tensor; readonly inputGradient: Tensor },
): Dispatch {
  const { input, weight, mean, outputGradient, rows, width, accumulate = false, choices } = of;
  const tensors = {
    input,
    weight,
    mean,
    inverse_deviation: of.inverseDeviation,
    output_gradient: outputGradient,
    input_gradient: of.inputGradient,
  };
  const variant = rowVariantOf(layerNormFamily, width, choices);
  const numbers = { rows, width, accumulate: accumulate ? 1 : 0 };
  return rowDispatchOf(inputGradientKernels, variant, tensors, numbers, { rows, width });
}

/**
 * weightGradient [width] is set, or added to with `accumulate`. The bias's gradient is the sum of the output gradient's
 * rows: `columnSumDispatch`.
 */
export function layerNormWeightGradientDispatch(of: Backward & { readonly weightGradient: Tensor }): Dispatch {
  const { input, mean, outputGradient, rows, width, accumulate = false, choices } = of;
  const tensors = {
    input,
    mean,
    inverse_deviation: of.inverseDeviation,
    output_gradient: outputGradient,
    weight_gradient: of.weightGradient,
  };
  const variant = rowVariantOf(layerNormFamily, width, choices);
  return columnDispatchOf(weightGradientKernels, variant, tensors, { rows, width, accumulate: accumulate ? 1 : 0 });
}

export function layerNormTruth(
  input: Float64Array,
  weight: Float64Array,
  bias: Float64Array,
  epsilon: number,
): { output: Float64Array; mean: Float64Array; inverseDeviation: Float64Array } {
  const width = weight.length;
  const rows = Array.from({ length: input.length / width }, (_, row) => input.subarray(row * width, (row + 1) * width));
  const mean = Float64Array.from(rows, (row) => row.reduce((sum, value) => sum + value, 0) / width);
  const inverseDeviation = Float64Array.from(rows, (row, index) => {
    const spread = row.reduce((sum, value) => sum + (value - at(mean, index)) ** 2, 0) / width;
    return 1 / Math.sqrt(spread + epsilon);
  });
  const output = input.map((value, index) => {
    const row = Math.floor(index / width);
    const normal = (value - at(mean, row)) * at(inverseDeviation, row);
    return at(weight, index % width) * normal + at(bias, index % width);
  });
  return { output, mean, inverseDeviation };
}

export function layerNormGradientTruth(
  input: Float64Array,
  weight: Float64Array,
  epsilon: number,
  outputGradient: Float64Array,
): { inputGradient: Float64Array; weightGradient: Float64Array; biasGradient: Float64Array } {
  const width = weight.length;
  const { mean, inverseDeviation } = layerNormTruth(input, weight, weight, epsilon);
  const weightGradient = new Float64Array(width);
  const biasGradient = new Float64Array(width);
  const inputGradient = new Float64Array(input.length);
  mean.forEach((centre, row) => {
    const scale = at(inverseDeviation, row);
    const place = (column: number): number => row * width + column;
    const normal = weight.map((_, column) => (at(input, place(column)) - centre) * scale);
    const gradient = weight.map((value, column) => value * at(outputGradient, place(column)));
    const gradientMean = gradient.reduce((sum, value) => sum + value, 0) / width;
    const pull = gradient.reduce((sum, value, column) => sum + value * at(normal, column), 0) / width;
    normal.forEach((value, column) => {
      inputGradient[place(column)] = scale * (at(gradient, column) - gradientMean - value * pull);
      addAt(weightGradient, column, at(outputGradient, place(column)) * value);
      addAt(biasGradient, column, at(outputGradient, place(column)));
    });
  });
  return { inputGradient, weightGradient, biasGradient };
}

export const layerNormTolerance: Tolerance = {
  absolute: 4e-5,
  relative: 1e-5,
  reason:
    'the variance is a difference of two sums over up to 4,096 f32, and WGSL lets 1 / sqrt be a few units off in the last place',
};

const epsilon = 1e-5;

interface Problem {
  readonly rows: number;
  readonly width: number;
  readonly input: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly truth: ReturnType<typeof layerNormTruth>;
}

/** Rows have means away from zero, as activations have. */
function drawProblem(random: Random, rows: number, width: number): Problem {
  const input = normals(random, rows * width).map((value, index) => value + (Math.floor(index / width) % 7) - 3);
  const weight = normals(random, width);
  const bias = normals(random, width);
  const truth = layerNormTruth(toF64(input), toF64(weight), toF64(bias), epsilon);
  return { rows, width, input, weight, bias, truth };
}

function forwardCase(variant: string, { rows, width, input, weight, bias, truth }: Problem): KernelCase {
  const [mean, inverseDeviation] = [new Float32Array(rows), new Float32Array(rows)];
  return {
    kernel: 'layer_norm',
    variant: rowVariantNamed(variant),
    ...alignedFor(width),
    title: `${variant}, rows ${rows}, width ${width}`,
    tensors: { input, weight, bias, output: new Float32Array(rows * width), mean, inverseDeviation },
    dispatches: (of) => [
      layerNormDispatch({
        input: of('input'),
        weight: of('weight'),
        bias: of('bias'),
        output: of('output'),
        mean: of('mean'),
        inverseDeviation: of('inverseDeviation'),
        rows,
        width,
        epsilon,
        choices: always(variant),
      }),
    ],
    expected: { ...truth },
    tolerance: layerNormTolerance,
  };
}

/** Input and weight gradient in one case, set or added. */
function gradientCase(variant: string, problem: Problem, random: Random, accumulate: boolean): KernelCase {
  const { rows, width, input, weight, truth } = problem;
  const outputGradient = normals(random, rows * width);
  const [inputGradient, weightGradient] = [normals(random, rows * width), normals(random, width)];
  const found = layerNormGradientTruth(toF64(input), toF64(weight), epsilon, toF64(outputGradient));
  return {
    kernel: 'layer_norm_input_gradient',
    variant: rowVariantNamed(variant),
    ...alignedFor(width),
    title: `${variant}, input and weight, rows ${rows}, width ${width}${accumulate ? ', added' : ''}`,
    tensors: {
      input,
      weight,
      mean: Float32Array.from(truth.mean),
      inverseDeviation: Float32Array.from(truth.inverseDeviation),
      outputGradient,
      inputGradient,
      weightGradient,
    },
    dispatches: (of) => {
      const shared = {
        input: of('input'),
        mean: of('mean'),
        inverseDeviation: of('inverseDeviation'),
        outputGradient: of('outputGradient'),
        rows,
        width,
        accumulate,
        choices: always(variant),
      };
      return [
        layerNormInputGradientDispatch({ ...shared, weight: of('weight'), inputGradient: of('inputGradient') }),
        layerNormWeightGradientDispatch({ ...shared, weightGradient: of('weightGradient') }),
      ];
    },
    expected: {
      inputGradient: accumulate ? plus(found.inputGradient, inputGradient) : found.inputGradient,
      weightGradient: accumulate ? plus(found.weightGradient, weightGradient) : found.weightGradient,
    },
    tolerance: layerNormTolerance,
  };
}

export function layerNormCases(random: Random): KernelCase[] {
  return rowVariants.flatMap(({ name }, index) => {
    const more = index === 0 ? [{ rows: 1, width: 1 }] : [];
    return [...more, { rows: 65, width: 97 }, { rows: 3, width: 315 }, ...widthsInFours(name)].flatMap(
      ({ rows, width }) => {
        const problem = drawProblem(random, rows, width);
        const found = forwardCase(name, problem);
        return tellingVariants.includes(name) ? [found, gradientCase(name, problem, random, rows === 3)] : [found];
      },
    );
  });
}
