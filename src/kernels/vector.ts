/** Plain vector work: weighted sums of two vectors, in place or not, and filling. Copying is `Device.copy`. */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

const combine = defineKernel({
  shader: 'combine',
  tensors: ['left', 'right', '>output'],
  numbers: ['count', 'left_scale:f32', 'right_scale:f32'],
});
const axpy = defineKernel({ shader: 'axpy', tensors: ['x', '>y'], numbers: ['count', 'x_scale:f32', 'y_scale:f32'] });
const fill = defineKernel({ shader: 'fill', tensors: ['>output'], numbers: ['count', 'value:f32'] });

/** output = leftScale * left + rightScale * right; scales default to 1, so a residual is the plain call and a difference has rightScale -1. */
export function combineDispatch(of: {
  readonly left: Tensor;
  readonly right: Tensor;
  readonly output: Tensor;
  readonly count: number;
  readonly leftScale?: number;
  readonly rightScale?: number;
}): Dispatch {
  const { left, right, output, count, leftScale = 1, rightScale = 1 } = of;
  const numbers = { count, left_scale: leftScale, right_scale: rightScale };
  return dispatchOf(combine, { left, right, output }, numbers, gridOf(count, 64));
}

/** y = xScale * x + yScale * y in place; scales default to 1. With xScale 0 it only scales y; x must then be finite. */
export function axpyDispatch(of: {
  readonly x: Tensor;
  readonly y: Tensor;
  readonly count: number;
  readonly xScale?: number;
  readonly yScale?: number;
}): Dispatch {
  const { x, y, count, xScale = 1, yScale = 1 } = of;
  return dispatchOf(axpy, { x, y }, { count, x_scale: xScale, y_scale: yScale }, gridOf(count, 64));
}

/** output[0 .. count) = value. */
export function fillDispatch(of: {
  readonly output: Tensor;
  readonly count: number;
  readonly value: number;
}): Dispatch {
  const { output, count, value } = of;
  return dispatchOf(fill, { output }, { count, value }, gridOf(count, 64));
}
