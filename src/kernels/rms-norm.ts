/**
 * RMSNorm (Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019): output = weight * x * r with
 * r = 1 / sqrt(mean(x^2) + epsilon) of each row, and its gradients to the input and the weight. Variants are those of `row-variants.ts`.
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
import { addAt, at, dot, plus } from './truth.ts';
import { sizesOf, type Choices, type Family } from './variants.ts';

const forward = rowKernels({
  shader: 'rms_norm',
  tensors: ['input', 'weight', '>output', '>inverse_rms'],
  numbers: ['rows', 'width', 'epsilon:f32'],
  perRow: ['inverse_rms'],
  sharesWeight: true,
});

const residual = rowKernels({
  shader: 'rms_norm_residual',
  tensors: ['left', 'right', 'weight', '>sum', '>output', '>inverse_rms'],
  numbers: ['rows', 'width', 'epsilon:f32'],
  perRow: ['inverse_rms'],
});

const inputGradientKernels = rowKernels({
  shader: 'rms_norm_input_gradient',
  tensors: ['input', 'weight', 'inverse_rms', 'output_gradient', '>input_gradient'],
  numbers: ['rows', 'width', 'accumulate'],
  perRow: ['inverse_rms'],
});

const weightGradientKernels = columnKernels({
  shader: 'rms_norm_weight_gradient',
  tensors: ['input', 'inverse_rms', 'output_gradient', '>weight_gradient'],
  numbers: ['rows', 'width', 'accumulate'],
});

export const rmsNormKernels = [
  ...kernelsOf(forward),
  ...kernelsOf(residual),
  ...kernelsOf(inputGradientKernels),
  ...weightGradientKernels.values(),
];

/** All of RMSNorm goes by one choice; the trial times the forward pass. */
export const rmsNormFamily: Family = {
  name: 'rms_norm',
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

/** Shapes: input and output [rows, width], weight [width], inverseRms [rows] (kept for the gradients). */
export function rmsNormDispatch(of: {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly output: Tensor;
  readonly inverseRms: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly epsilon: number;
  readonly choices?: Choices;
}): Dispatch {
  const { input, weight, output, inverseRms, rows, width, epsilon, choices } = of;
  const tensors = { input, weight, output, inverse_rms: inverseRms };
  const variant = rowVariantOf(rmsNormFamily, width, choices);
  return rowDispatchOf(forward, variant, tensors, { rows, width, epsilon }, { rows, width });
}

/** sum = left + right and output = RMSNorm(sum) in one: a residual and the norm that follows it. All [rows, width] but weight and inverseRms. */
export function rmsNormResidualDispatch(of: {
  readonly left: Tensor;
  readonly right: Tensor;
  readonly weight: Tensor;
  readonly sum: Tensor;
  readonly output: Tensor;
  readonly inverseRms: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly epsilon: number;
  readonly choices?: Choices;
}): Dispatch {
  const { left, right, weight, sum, output, inverseRms, rows, width, epsilon, choices } = of;
  const tensors = { left, right, weight, sum, output, inverse_rms: inverseRms };
  const variant = rowVariantOf(rmsNormFamily, width, choices);
  return rowDispatchOf(residual, variant, tensors, { rows, width, epsilon }, { rows, width });
}

interface Backward {
  readonly input: Tensor;
  readonly inverseRms: Tensor;
  readonly outputGradient: Tensor;
  readonly rows: number;
  readonly width: number;
  /** Adds to what is there instead of setting it; default false. */
  readonly accumulate?: boolean;
  readonly choices?: Choices;
}

/** inputGradient [rows, width] is set, or added to with `accumulate`, as a residual path wants it. */
export function rmsNormInputGradientDispatch(
  of: Backward & { readonly weight: Tensor; readonly inputGradient: Tensor },
): Dispatch {
  const { input, weight, inverseRms, outputGradient, inputGradient, rows, width, accumulate = false, choices } = of;
  return rowDispatchOf(
    inputGradientKernels,
    rowVariantOf(rmsNormFamily, width, choices),
    { input, weight, inverse_rms: inverseRms, output_gradient: outputGradient, input_gradient: inputGradient },
    { rows, width, accumulate: accumulate ? 1 : 0 },
    { rows, width },
  );
}

/** weightGradient [width] is set, or added to with `accumulate`; rows are summed in a fixed order (`reduce-columns.ts`). */
export function rmsNormWeightGradientDispatch(of: Backward & { readonly weightGradient: Tensor }): Dispatch {
  const { input, inverseRms, outputGradient, weightGradient, rows, width, accumulate = false, choices } = of;
  return columnDispatchOf(
    weightGradientKernels,
    rowVariantOf(rmsNormFamily, width, choices),
    { input, inverse_rms: inverseRms, output_gradient: outputGradient, weight_gradient: weightGradient },
    { rows, width, accumulate: accumulate ? 1 : 0 },
  );
}

export function rmsNormTruth(
  input: Float64Array,
  weight: Float64Array,
  epsilon: number,
): { output: Float64Array; inverseRms: Float64Array } {
  const width = weight.length;
  const inverseRms = Float64Array.from(
    { length: input.length / width },
    (_, row) => 1 / Math.sqrt(dot(input, row * width, input, row * width, width) / width + epsilon),
  );
  const output = input.map(
    (value, index) => value * at(weight, index % width) * at(inverseRms, Math.floor(index / width)),
  );
  return { output, inverseRms };
}

export function rmsNormGradientTruth(
  input: Float64Array,
  weight: Float64Array,
  epsilon: number,
  outputGradient: Float64Array,
): { inputGradient: Float64Array; weightGradient: Float64Array } {
  const width = weight.length;
  const { inverseRms } = rmsNormTruth(input, weight, epsilon);
  const scaled = outputGradient.map((value, index) => value * at(weight, index % width));
  const weightGradient = new Float64Array(width);
  const inputGradient = input.map((value, index) => {
    const row = Math.floor(index / width);
    const scale = at(inverseRms, row);
    addAt(weightGradient, index % width, at(outputGradient, index) * value * scale);
    const mean = dot(scaled, row * width, input, row * width, width) / width;
    return scale * at(scaled, index) - value * scale ** 3 * mean;
  });
  return { inputGradient, weightGradient };
}

export const rmsNormTolerance: Tolerance = {
  absolute: 2e-5,
  relative: 4e-6,
  reason: 'WGSL lets 1 / sqrt be a few units off in the last place, and rows sum up to 315 f32',
};

const epsilon = 1e-5;

interface Problem {
  readonly rows: number;
  readonly width: number;
  readonly input: Float32Array;
  readonly weight: Float32Array;
  readonly truth: ReturnType<typeof rmsNormTruth>;
}

function drawProblem(random: Random, rows: number, width: number): Problem {
  // Values as small as epsilon's root, in one case, so that epsilon is seen to matter.
  const [input, weight] = [normals(random, rows * width, width === 1 ? 0.01 : 1), normals(random, width)];
  return { rows, width, input, weight, truth: rmsNormTruth(toF64(input), toF64(weight), epsilon) };
}

const headOf = (kernel: string, variant: string, { width }: Problem) => ({
  kernel,
  variant: rowVariantNamed(variant),
  ...alignedFor(width),
  tolerance: rmsNormTolerance,
});

function forwardCase(variant: string, problem: Problem): KernelCase {
  const { rows, width, input, weight, truth } = problem;
  return {
    ...headOf('rms_norm', variant, problem),
    title: `${variant}, rows ${rows}, width ${width}`,
    tensors: { input, weight, output: new Float32Array(rows * width), inverseRms: new Float32Array(rows) },
    dispatches: (of) => [
      rmsNormDispatch({
        input: of('input'),
        weight: of('weight'),
        output: of('output'),
        inverseRms: of('inverseRms'),
        rows,
        width,
        epsilon,
        choices: always(variant),
      }),
    ],
    expected: { ...truth },
  };
}

function residualCase(variant: string, problem: Problem, random: Random): KernelCase {
  const { rows, width, input: left, weight } = problem;
  const right = normals(random, rows * width);
  const sum = plus(toF64(left), right);
  const [output, inverseRms] = [new Float32Array(rows * width), new Float32Array(rows)];
  return {
    ...headOf('rms_norm_residual', variant, problem),
    title: `${variant}, rows ${rows}, width ${width}`,
    tensors: { left, right, weight, sum: new Float32Array(rows * width), output, inverseRms },
    dispatches: (of) => [
      rmsNormResidualDispatch({
        left: of('left'),
        right: of('right'),
        weight: of('weight'),
        sum: of('sum'),
        output: of('output'),
        inverseRms: of('inverseRms'),
        rows,
        width,
        epsilon,
        choices: always(variant),
      }),
    ],
    expected: { sum, ...rmsNormTruth(sum, toF64(weight), epsilon) },
  };
}

/** Input and weight gradient in one case, set or added. */
function gradientCase(variant: string, problem: Problem, random: Random, accumulate: boolean): KernelCase {
  const { rows, width, input, weight, truth } = problem;
  const outputGradient = normals(random, rows * width);
  const [inputGradient, weightGradient] = [normals(random, rows * width), normals(random, width)];
  const found = rmsNormGradientTruth(toF64(input), toF64(weight), epsilon, toF64(outputGradient));
  const inverseRms = Float32Array.from(truth.inverseRms);
  return {
    ...headOf('rms_norm_input_gradient', variant, problem),
    title: `${variant}, input and weight, rows ${rows}, width ${width}${accumulate ? ', added' : ''}`,
    tensors: { input, weight, inverseRms, outputGradient, inputGradient, weightGradient },
    dispatches: (of) => {
      const [inverse, pull] = [of('inverseRms'), of('outputGradient')];
      const choices = always(variant);
      const shared = {
        input: of('input'),
        inverseRms: inverse,
        outputGradient: pull,
        rows,
        width,
        accumulate,
        choices,
      };
      return [
        rmsNormInputGradientDispatch({ ...shared, weight: of('weight'), inputGradient: of('inputGradient') }),
        rmsNormWeightGradientDispatch({ ...shared, weightGradient: of('weightGradient') }),
      ];
    },
    expected: {
      inputGradient: accumulate ? plus(found.inputGradient, inputGradient) : found.inputGradient,
      weightGradient: accumulate ? plus(found.weightGradient, weightGradient) : found.weightGradient,
    },
  };
}

export function rmsNormCases(random: Random): KernelCase[] {
  return rowVariants.flatMap(({ name }, index) => {
    const first = index === 0 ? [{ rows: 1, width: 1 }] : [];
    return [...first, { rows: 65, width: 97 }, { rows: 3, width: 315 }, ...widthsInFours(name)].flatMap(
      ({ rows, width }) => {
        const problem = drawProblem(random, rows, width);
        const found = forwardCase(name, problem);
        if (!tellingVariants.includes(name)) return [found];
        const added = rows === 3;
        const more = added ? [residualCase(name, problem, random)] : [];
        return [found, gradientCase(name, problem, random, added), ...more];
      },
    );
  });
}
