/**
 * Plain vector work: weighted sums of two vectors, in place or not, and filling. Copying is `Device.copy`. Sums go four
 * elements at once where count and offsets are multiples of four, which is several times faster on software adapters.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, inFours, stridedGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { at } from './truth.ts';

const ofCombine = {
  tensors: ['left', 'right', '>output'] as const,
  numbers: ['count', 'left_scale:f32', 'right_scale:f32'] as const,
};
const combine = defineKernel({ shader: 'combine', ...ofCombine });
const combineFours = defineKernel({ shader: 'combine_vec4', ...ofCombine });
const ofAxpy = { tensors: ['x', '>y'] as const, numbers: ['count', 'x_scale:f32', 'y_scale:f32'] as const };
const axpy = defineKernel({ shader: 'axpy', ...ofAxpy });
const axpyFours = defineKernel({ shader: 'axpy_vec4', ...ofAxpy });
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
  const fours = inFours(count, left, right, output);
  const grid = stridedGrid(fours ? count / 4 : count);
  return dispatchOf(fours ? combineFours : combine, { left, right, output }, numbers, grid);
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
  const numbers = { count, x_scale: xScale, y_scale: yScale };
  const fours = inFours(count, x, y);
  return dispatchOf(fours ? axpyFours : axpy, { x, y }, numbers, stridedGrid(fours ? count / 4 : count));
}

/** output[0 .. count) = value. */
export function fillDispatch(of: {
  readonly output: Tensor;
  readonly count: number;
  readonly value: number;
}): Dispatch {
  const { output, count, value } = of;
  return dispatchOf(fill, { output }, { count, value }, stridedGrid(count));
}

export const vectorKernels = [combine, combineFours, axpy, axpyFours, fill];

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
  return [1, 3, 315, 316].flatMap((count): KernelCase[] => {
    const left = normals(random, count);
    const right = normals(random, count);
    const fours = count % 4 === 0;
    const title = `${count} elements`;
    const common = { title, tolerance: vectorTolerance, ...(fours && { alignment: 4 as const }) };
    return [
      {
        ...common,
        kernel: fours ? combineFours.name : combine.name,
        tensors: { left, right, output: new Float32Array(count) },
        dispatches: (of) => [
          combineDispatch({ left: of('left'), right: of('right'), output: of('output'), count, rightScale: -1 }),
        ],
        expected: { output: combineTruth(toF64(left), toF64(right), 1, -1) },
      },
      {
        ...common,
        kernel: fours ? axpyFours.name : axpy.name,
        tensors: { x: left, y: right },
        dispatches: (of) => [axpyDispatch({ x: of('x'), y: of('y'), count, xScale: 0.3, yScale: 0.7 })],
        expected: { y: combineTruth(toF64(left), toF64(right), 0.3, 0.7) },
      },
      {
        ...common,
        kernel: fill.name,
        tensors: { output: left },
        dispatches: (of) => [fillDispatch({ output: of('output'), count, value: 0.25 })],
        expected: { output: new Float64Array(count).fill(0.25) },
      },
    ];
  });
}
