/**
 * Matrix product in the three forms that a network needs: NT forward (weights stored [out, in]), NN for the gradient of
 * the input, TN for the gradient of the weights. Every output element sums over `inner` in ascending order, so a row's
 * result does not depend on how many rows there are.
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

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
  // Few rows would leave most of the tile idle; one thread an element then keeps the same order of sums.
  if (rows < rowTile) return dispatchOf(single, { left, right, output }, sizes, gridOf(rows * columns, 64));
  const tiles = Math.ceil(rows / rowTile) * Math.ceil(columns / columnTile);
  return dispatchOf(tiled, { left, right, output }, sizes, gridOf(tiles, 64));
}

/** Outputs of one invocation, as `shaders/matmul.wgsl` has them. */
const rowTile = 8;
const columnTile = 4;
