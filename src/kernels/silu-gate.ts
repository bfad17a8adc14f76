/**
 * The gate of a Llama feed-forward block (Shazeer, "GLU variants improve transformer", 2020): output = silu(gate) * up with
 * silu(x) = x / (1 + exp(-x)), and its gradients.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { at } from './truth.ts';

const forward = defineKernel({ shader: 'silu_gate', tensors: ['gate', 'up', '>output'], numbers: ['count'] });
const gradient = defineKernel({
  shader: 'silu_gate_gradient',
  tensors: ['gate', 'up', 'output_gradient', '>gate_gradient', '>up_gradient'],
  numbers: ['count'],
});

/** Elementwise over `count` elements. */
export function siluGateDispatch(of: {
  readonly gate: Tensor;
  readonly up: Tensor;
  readonly output: Tensor;
  readonly count: number;
}): Dispatch {
  const { gate, up, output, count } = of;
  return dispatchOf(forward, { gate, up, output }, { count }, elementGrid(count));
}

/** Sets gateGradient and upGradient, `count` elements each. */
export function siluGateGradientDispatch(of: {
  readonly gate: Tensor;
  readonly up: Tensor;
  readonly outputGradient: Tensor;
  readonly gateGradient: Tensor;
  readonly upGradient: Tensor;
  readonly count: number;
}): Dispatch {
  const { gate, up, outputGradient, gateGradient, upGradient, count } = of;
  return dispatchOf(
    gradient,
    { gate, up, output_gradient: outputGradient, gate_gradient: gateGradient, up_gradient: upGradient },
    { count },
    elementGrid(count),
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
  return [1, 3, 65, 315].flatMap((count): KernelCase[] => {
    const gate = normals(random, count, 4);
    const up = normals(random, count);
    const outputGradient = normals(random, count);
    const title = `${count} elements`;
    return [
      {
        kernel: forward.name,
        title,
        tensors: { gate, up, output: new Float32Array(count) },
        dispatches: (of) => [siluGateDispatch({ gate: of('gate'), up: of('up'), output: of('output'), count })],
        expected: { output: siluGateTruth(toF64(gate), toF64(up)) },
        tolerance: siluGateTolerance,
      },
      {
        kernel: gradient.name,
        title,
        tensors: {
          gate,
          up,
          outputGradient,
          gateGradient: new Float32Array(count),
          upGradient: new Float32Array(count),
        },
        dispatches: (of) => [
          siluGateGradientDispatch({
            gate: of('gate'),
            up: of('up'),
            outputGradient: of('outputGradient'),
            gateGradient: of('gateGradient'),
            upGradient: of('upGradient'),
            count,
          }),
        ],
        expected: { ...siluGateGradientTruth(toF64(gate), toF64(up), toF64(outputGradient)) },
        tolerance: siluGateTolerance,
      },
    ];
  });
}
