/**
 * The gate of a Llama feed-forward block (Shazeer, "GLU variants improve transformer", 2020): output = silu(gate) * up with
 * silu(x) = x / (1 + exp(-x)), and its gradients.
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

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
  return dispatchOf(forward, { gate, up, output }, { count }, gridOf(count, 64));
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
    gridOf(count, 64),
  );
}
