/** Plain vector work: weighted sums of two vectors, in place or not, and filling. Copying is `Device.copy`. */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { at } from './truth.ts';

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
  return dispatchOf(combine, { left, right, output }, numbers, elementGrid(count));
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
  return dispatchOf(axpy, { x, y }, { count, x_scale: xScale, y_scale: yScale }, elementGrid(count));
}

/** output[0 .. count) = value. */
export function fillDispatch(of: {
  readonly output: Tensor;
  readonly count: number;
  readonly value: number;
}): Dispatch {
  const { output, count, value } = of;
  return dispatchOf(fill, { output }, { count, value }, elementGrid(count));
}

export const vectorKernels = [combine, axpy, fill];

export const combineTruth = (
  left: Float64Array,
  right: Float64Array,
  leftScale: number,
  rightScale: number,
): Float64Array => left.map((value, index) => leftScale * value + rightScale * at(right, index));

export const vectorTolerance: Tolerance = {
  absolute: 2e-6,
  relative: 1e-6,
  reason: 'two products and a sum, with scales rounded to f32',
};

export function vectorCases(random: Random): KernelCase[] {
  return [1, 3, 97, 315].flatMap((count): KernelCase[] => {
    const left = normals(random, count);
    const right = normals(random, count);
    const title = `${count} elements`;
    const tolerance = vectorTolerance;
    return [
      {
        kernel: combine.name,
        title,
        tensors: { left, right, output: new Float32Array(count) },
        dispatches: (of) => [
          combineDispatch({ left: of('left'), right: of('right'), output: of('output'), count, rightScale: -1 }),
        ],
        expected: { output: combineTruth(toF64(left), toF64(right), 1, -1) },
        tolerance,
      },
      {
        kernel: axpy.name,
        title,
        tensors: { x: left, y: right },
        dispatches: (of) => [axpyDispatch({ x: of('x'), y: of('y'), count, xScale: 0.3, yScale: 0.7 })],
        expected: { y: combineTruth(toF64(left), toF64(right), 0.3, 0.7) },
        tolerance,
      },
      {
        kernel: fill.name,
        title,
        tensors: { output: left },
        dispatches: (of) => [fillDispatch({ output: of('output'), count, value: 0.25 })],
        expected: { output: new Float64Array(count).fill(0.25) },
        tolerance,
      },
    ];
  });
}
