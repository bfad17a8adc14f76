/**
 * RMSNorm (Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019): output = weight * x * r with
 * r = 1 / sqrt(mean(x^2) + epsilon) of each row, and its gradients to the input and the weight.
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, rowGrid, type Tensor } from './kernel.ts';

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
    gridOf(width, 64),
  );
}
