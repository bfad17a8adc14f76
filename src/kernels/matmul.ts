/**
 * Matrix product in the three forms that a network needs: NT forward (weights stored [out, in]), NN for the gradient of
 * the input, TN for the gradient of the weights. Every output element sums over `inner` in ascending order, so a row's
 * result does not depend on how many rows there are.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { addAt, at, plus } from './truth.ts';

/** Which operand is stored transposed. NN: left [rows, inner], right [inner, columns]. NT: right is stored [columns, inner]. TN: left is stored [inner, rows]. */
export type MatmulForm = 'NN' | 'NT' | 'TN';

const tensors = ['left', 'right', '>output'] as const;
const numbers = [
  'rows',
  'columns',
  'inner',
  'left_row_stride',
  'left_inner_stride',
  'right_inner_stride',
  'right_column_stride',
  'accumulate',
] as const;
const tiled = defineKernel({ shader: 'matmul', tensors, numbers });
const single = defineKernel({ shader: 'matmul', entryPoint: 'single_row', tensors, numbers });

/** output [rows, columns] = left x right, or output += left x right with `accumulate` (default false). */
export function matmulDispatch(of: {
  readonly form: MatmulForm;
  readonly left: Tensor;
  readonly right: Tensor;
  readonly output: Tensor;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly accumulate?: boolean;
}): Dispatch {
  const { form, left, right, output, rows, columns, inner, accumulate = false } = of;
  const strides = {
    left_row_stride: form === 'TN' ? 1 : inner,
    left_inner_stride: form === 'TN' ? rows : 1,
    right_inner_stride: form === 'NT' ? 1 : columns,
    right_column_stride: form === 'NT' ? inner : 1,
  };
  const sizes = { rows, columns, inner, ...strides, accumulate: accumulate ? 1 : 0 };
  // A single row would leave most of the tile idle; one thread an element keeps the same order of sums.
  if (rows === 1) return dispatchOf(single, { left, right, output }, sizes, elementGrid(columns));
  const tiles = Math.ceil(rows / rowTile) * Math.ceil(columns / columnTile);
  return dispatchOf(tiled, { left, right, output }, sizes, elementGrid(tiles));
}

/** Outputs of one invocation, as `shaders/matmul.wgsl` has them. */
const rowTile = 8;
const columnTile = 4;

export const matmulKernels = [tiled, single];

export function matmulTruth(
  form: MatmulForm,
  left: Float64Array,
  right: Float64Array,
  { rows, columns, inner }: { readonly rows: number; readonly columns: number; readonly inner: number },
): Float64Array {
  const output = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let step = 0; step < inner; step++) {
      const value = at(left, form === 'TN' ? step * rows + row : row * inner + step);
      for (let column = 0; column < columns; column++) {
        const other = at(right, form === 'NT' ? column * inner + step : step * columns + column);
        addAt(output, row * columns + column, value * other);
      }
    }
  }
  return output;
}

export const matmulTolerance: Tolerance = {
  absolute: 1e-4,
  relative: 1e-6,
  reason: 'sums of up to 315 products of standard normals: the root of the count times an f32 rounding of about 18',
};

export function matmulCases(random: Random): KernelCase[] {
  const forms: readonly MatmulForm[] = ['NN', 'NT', 'TN'];
  const shapes = [
    { rows: 1, columns: 1, inner: 1 },
    { rows: 1, columns: 315, inner: 97 },
    { rows: 3, columns: 97, inner: 65 },
    { rows: 65, columns: 3, inner: 315 },
    { rows: 97, columns: 65, inner: 3 },
    { rows: 64, columns: 64, inner: 32 },
  ];
  return forms.flatMap((form) =>
    shapes.map((sizes, index): KernelCase => {
      const { rows, columns, inner } = sizes;
      const left = normals(random, rows * inner);
      const right = normals(random, inner * columns);
      const output = normals(random, rows * columns);
      const accumulate = index % 2 === 1;
      const product = matmulTruth(form, toF64(left), toF64(right), sizes);
      return {
        kernel: rows === 1 ? single.name : tiled.name,
        title: `${form}, ${rows} x ${inner} by ${inner} x ${columns}${accumulate ? ', added' : ''}`,
        tensors: { left, right, output },
        dispatches: (of) => [
          matmulDispatch({
            form,
            left: of('left'),
            right: of('right'),
            output: of('output'),
            ...sizes,
            accumulate,
          }),
        ],
        expected: { output: accumulate ? plus(product, output) : product },
        tolerance: matmulTolerance,
      };
    }),
  );
}
