/**
 * RMSNorm (Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019): output = weight * x * r with
 * r = 1 / sqrt(mean(x^2) + epsilon) of each row, and its gradients to the input and the weight.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { addAt, at, dot, plus } from './truth.ts';

const forward = defineKernel({
  shader: 'rms_norm',
  tensors: ['input', 'weight', '>output', '>inverse_rms'],
  numbers: ['rows', 'width', 'epsilon:f32'],
});

const inputGradientKernel = defineKernel({
  shader: 'rms_norm_input_gradient',
  tensors: ['input', 'weight', 'inverse_rms', 'output_gradient', '>input_gradient'],
  numbers: ['rows', 'width', 'accumulate'],
});

const weightGradientKernel = defineKernel({
  shader: 'rms_norm_weight_gradient',
  tensors: ['input', 'inverse_rms', 'output_gradient', '>weight_gradient'],
  numbers: ['rows', 'width', 'accumulate'],
});

/** Shapes: input and output [rows, width], weight [width], inverseRms [rows] (kept for the gradients). */
export function rmsNormDispatch(of: {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly output: Tensor;
  readonly inverseRms: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly epsilon: number;
}): Dispatch {
  const { input, weight, output, inverseRms, rows, width, epsilon } = of;
  return dispatchOf(
    forward,
    { input, weight, output, inverse_rms: inverseRms },
    { rows, width, epsilon },
    rowGrid(rows),
  );
}

/** inputGradient [rows, width] is set, or added to with `accumulate` (default false), as a residual path wants it. */
export function rmsNormInputGradientDispatch(of: {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly inverseRms: Tensor;
  readonly outputGradient: Tensor;
  readonly inputGradient: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly accumulate?: boolean;
}): Dispatch {
  const { input, weight, inverseRms, outputGradient, inputGradient, rows, width, accumulate = false } = of;
  return dispatchOf(
    inputGradientKernel,
    { input, weight, inverse_rms: inverseRms, output_gradient: outputGradient, input_gradient: inputGradient },
    { rows, width, accumulate: accumulate ? 1 : 0 },
    rowGrid(rows),
  );
}

/** weightGradient [width] is set, or added to with `accumulate` (default false); rows are summed in order. */
export function rmsNormWeightGradientDispatch(of: {
  readonly input: Tensor;
  readonly inverseRms: Tensor;
  readonly outputGradient: Tensor;
  readonly weightGradient: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly accumulate?: boolean;
}): Dispatch {
  const { input, inverseRms, outputGradient, weightGradient, rows, width, accumulate = false } = of;
  return dispatchOf(
    weightGradientKernel,
    { input, inverse_rms: inverseRms, output_gradient: outputGradient, weight_gradient: weightGradient },
    { rows, width, accumulate: accumulate ? 1 : 0 },
    elementGrid(width),
  );
}

export const rmsNormKernels = [forward, inputGradientKernel, weightGradientKernel];

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

export function rmsNormCases(random: Random): KernelCase[] {
  return [
    { rows: 1, width: 1 },
    { rows: 3, width: 315 },
    { rows: 65, width: 97 },
  ].flatMap((sizes, index): KernelCase[] => {
    const { rows, width } = sizes;
    const epsilon = 1e-5;
    const input = normals(random, rows * width);
    const weight = normals(random, width);
    const outputGradient = normals(random, rows * width);
    const inputBefore = normals(random, rows * width);
    const weightBefore = normals(random, width);
    const accumulate = index === 1;
    const truth = rmsNormTruth(toF64(input), toF64(weight), epsilon);
    const gradient = rmsNormGradientTruth(toF64(input), toF64(weight), epsilon, toF64(outputGradient));
    const inverseRms = Float32Array.from(truth.inverseRms);
    const title = `rows ${rows}, width ${width}`;
    const gradientTitle = accumulate ? `${title}, added` : title;
    return [
      {
        kernel: forward.name,
        title,
        tensors: { input, weight, output: new Float32Array(rows * width), inverseRms: new Float32Array(rows) },
        dispatches: (of) => [
          rmsNormDispatch({
            input: of('input'),
            weight: of('weight'),
            output: of('output'),
            inverseRms: of('inverseRms'),
            ...sizes,
            epsilon,
          }),
        ],
        expected: { ...truth },
        tolerance: rmsNormTolerance,
      },
      {
        kernel: inputGradientKernel.name,
        title: gradientTitle,
        tensors: { input, weight, inverseRms, outputGradient, inputGradient: inputBefore },
        dispatches: (of) => [
          rmsNormInputGradientDispatch({
            input: of('input'),
            weight: of('weight'),
            inverseRms: of('inverseRms'),
            outputGradient: of('outputGradient'),
            inputGradient: of('inputGradient'),
            ...sizes,
            accumulate,
          }),
        ],
        expected: { inputGradient: accumulate ? plus(gradient.inputGradient, inputBefore) : gradient.inputGradient },
        tolerance: rmsNormTolerance,
      },
      {
        kernel: weightGradientKernel.name,
        title: gradientTitle,
        tensors: { input, inverseRms, outputGradient, weightGradient: weightBefore },
        dispatches: (of) => [
          rmsNormWeightGradientDispatch({
            input: of('input'),
            inverseRms: of('inverseRms'),
            outputGradient: of('outputGradient'),
            weightGradient: of('weightGradient'),
            ...sizes,
            accumulate,
          }),
        ],
        expected: {
          weightGradient: accumulate ? plus(gradient.weightGradient, weightBefore) : gradient.weightGradient,
        },
        tolerance: rmsNormTolerance,
      },
    ];
  });
}
