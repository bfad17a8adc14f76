/** What is true of `matvec.ts`, in f64. */

import type { Tolerance } from './test-case.ts';
import { at, dot } from './truth.ts';

export interface MatvecTruth {
  /** [rows, inner]. */
  readonly input: Float64Array;
  /** [columns, inner]. */
  readonly weight: Float64Array;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly norm?: { readonly gain: Float64Array; readonly epsilon: number };
  readonly bias?: Float64Array;
}

/** [rows, columns]. */
export function matvecTruth({ input, weight, rows, columns, inner, norm, bias }: MatvecTruth): Float64Array {
  const output = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const own = input.slice(row * inner, (row + 1) * inner);
    const scale = norm === undefined ? 1 : 1 / Math.sqrt(dot(own, 0, own, 0, inner) / inner + norm.epsilon);
    const normed = norm === undefined ? own : own.map((value, index) => value * scale * at(norm.gain, index));
    for (let column = 0; column < columns; column++) {
      const sum = dot(normed, 0, weight, column * inner, inner);
      output[row * columns + column] = sum + (bias === undefined ? 0 : at(bias, column));
    }
  }
  return output;
}

/** [rows, hidden] of a weight [2 * hidden, inner]. */
export function gatedMatvecTruth({
  hidden,
  ...of
}: Omit<MatvecTruth, 'columns'> & { readonly hidden: number }): Float64Array {
  const both = matvecTruth({ ...of, columns: 2 * hidden });
  return Float64Array.from({ length: of.rows * hidden }, (_, index) => {
    const start = Math.floor(index / hidden) * 2 * hidden + (index % hidden);
    const gate = at(both, start);
    return (gate / (1 + Math.exp(-gate))) * at(both, start + hidden);
  });
}

export const matvecTolerance: Tolerance = {
  absolute: 5e-4,
  relative: 5e-6,
  reason:
    'sums of up to 2,179 products of standard normals, the root of whose count is 47, and 1 / sqrt and exp of WGSL',
};
