/**
 * The gate of a Llama feed-forward block (Shazeer, "GLU variants improve transformer", 2020): output = silu(gate) * up with
 * silu(x) = x / (1 + exp(-x)), and its gradients.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { at } from './truth.ts';

const forward = defineKernel({ shader: 'silu_gate', tensors: ['gate_up', '>output'], numbers: ['rows', 'hidden'] });
const gradient = defineKernel({
  shader: 'silu_gate_gradient',
  tensors: ['gate_up', 'output_gradient', '>gate_up_gradient'],
  numbers: ['rows', 'hidden'],
});

/** Elements of a row that one invocation takes. */
const elementsEach = 4;
const gridFor = (rows: number, hidden: number) => elementGrid(rows * Math.ceil(hidden / elementsEach));

/** gateUp [rows, 2, hidden]: of each row the gates and then the ups, as one product leaves them; output [rows, hidden]. */
export function siluGateDispatch(of: {
  readonly gateUp: Tensor;
  readonly output: Tensor;
  readonly rows: number;
  readonly hidden: number;
}): Dispatch {
  const { gateUp, output, rows, hidden } = of;
  return dispatchOf(forward, { gate_up: gateUp, output }, { rows, hidden }, gridFor(rows, hidden));
}

/** Sets gateUpGradient, shaped as gateUp. */
export function siluGateGradientDispatch(of: {
  readonly gateUp: Tensor;
  readonly outputGradient: Tensor;
  readonly gateUpGradient: Tensor;
  readonly rows: number;
  readonly hidden: number;
}): Dispatch {
  const { gateUp, outputGradient, gateUpGradient, rows, hidden } = of;
  return dispatchOf(
    gradient,
    { gate_up: gateUp, output_gradient: outputGradient, gate_up_gradient: gateUpGradient },
    { rows, hidden },
    gridFor(rows, hidden),
  );
}

export const siluGateKernels = [forward, gradient];

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

export const siluGateTruth = (gate: Float64Array, up: Float64Array): Float64Array =>
  gate.map((x, index) => x * logistic(x) * at(up, index));

export function siluGateGradientTruth(
  gate: Float64Array,
  up: Float64Array,
  outputGradient: Float64Array,
): { gateGradient: Float64Array; upGradient: Float64Array } {
  const slope = (x: number): number => logistic(x) * (1 + x * (1 - logistic(x)));
  return {
    gateGradient: gate.map((x, index) => at(outputGradient, index) * at(up, index) * slope(x)),
    upGradient: gate.map((x, index) => at(outputGradient, index) * x * logistic(x)),
  };
}

export const siluGateTolerance: Tolerance = {
  absolute: 1e-5,
  relative: 4e-6,
  reason: 'exp and division of WGSL are off by some units in the last place, more for large gates',
};

export function siluGateCases(random: Random): KernelCase[] {
  return [
    [1, 1],
    [3, 2],
    [5, 65],
    [2, 315],
  ].flatMap(([rows = 0, hidden = 0]): KernelCase[] => {
    const gate = normals(random, rows * hidden, 4);
    const up = normals(random, rows * hidden);
    const outputGradient = normals(random, rows * hidden);
    const truth = siluGateGradientTruth(toF64(gate), toF64(up), toF64(outputGradient));
    const gateUp = Float32Array.from(sideBySide(toF64(gate), toF64(up), hidden));
    const title = `${rows} rows of ${hidden}`;
    return [
      {
        kernel: forward.name,
        title,
        tensors: { gateUp, output: new Float32Array(rows * hidden) },
        dispatches: (of) => [siluGateDispatch({ gateUp: of('gateUp'), output: of('output'), rows, hidden })],
        expected: { output: siluGateTruth(toF64(gate), toF64(up)) },
        tolerance: siluGateTolerance,
      },
      {
        kernel: gradient.name,
        title,
        tensors: { gateUp, outputGradient, gateUpGradient: new Float32Array(2 * rows * hidden) },
        dispatches: (of) => [
          siluGateGradientDispatch({
            gateUp: of('gateUp'),
            outputGradient: of('outputGradient'),
            gateUpGradient: of('gateUpGradient'),
            rows,
            hidden,
          }),
        ],
        expected: { gateUpGradient: sideBySide(truth.gateGradient, truth.upGradient, hidden) },
        tolerance: siluGateTolerance,
      },
    ];
  });
}

/** Rows of two matrices [rows, hidden], each followed by the other's. */
function sideBySide(left: Float64Array, right: Float64Array, hidden: number): Float64Array {
  const both = new Float64Array(2 * left.length);
  for (let start = 0; start < left.length; start += hidden) {
    both.set(left.subarray(start, start + hidden), 2 * start);
    both.set(right.subarray(start, start + hidden), 2 * start + hidden);
  }
  return both;
}
