/**
 * Sums over rows, one for each column: gradients of biases and of norms' weights. No atomics: rows are dealt to a fixed
 * number of slices, each is summed in order, and the slices are added in order. Software adapters want one slice and
 * coalesced columns, GPUs many slices, as a matrix has few columns and many rows; the choice follows that of the row
 * kernels (`row-variants.ts`).
 */

import { present } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Kernel, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { addAt, plus } from './truth.ts';

interface Shape {
  readonly workgroup: number;
  readonly slices: number;
}

const oneSlice: Shape = { workgroup: 64, slices: 1 };
const manySlices: Shape = { workgroup: 256, slices: 32 };

/** GPUs choose these for their rows. */
const shapeOf = (variant: string): Shape =>
  variant === 'group-256' || variant === 'subgroup-32' ? manySlices : oneSlice;

type Declaration<T extends string, N extends string> = Parameters<typeof defineKernel<T, N>>[0];

/** Kernels by their number of slices. */
export function columnKernels<T extends string, N extends string>(declaration: Omit<Declaration<T, N>, 'constants'>) {
  return new Map(
    [oneSlice, manySlices].map(({ workgroup, slices }) => {
      const constants = { workgroup_size: workgroup, slices };
      return [slices, defineKernel<T, N>({ ...declaration, constants } as Declaration<T, N>)] as const;
    }),
  );
}

/** `variant` is that of the row kernels. */
export function columnDispatchOf<T extends string, N extends string>(
  kernels: ReadonlyMap<number, Kernel<T, N>>,
  variant: string,
  tensors: Readonly<Record<T, Tensor>>,
  numbers: Readonly<Record<N | 'width', number>>,
): Dispatch {
  const { workgroup, slices } = shapeOf(variant);
  const kernel = present(kernels.get(slices), `no kernel with ${slices} slices`);
  return dispatchOf(kernel, tensors, numbers, gridOf(numbers.width, workgroup / slices));
}

const sum = columnKernels({
  shader: 'reduce_columns',
  tensors: ['values', '>output'],
  numbers: ['rows', 'width', 'accumulate'],
});

export const columnSumKernels = [...sum.values()];

/** output [width] is the sum over rows of values [rows, width], or added to with `accumulate` (default false): a bias's gradient. */
export function columnSumDispatch(of: {
  readonly values: Tensor;
  readonly output: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly accumulate?: boolean;
  /** Of the row kernels; default the safe one. */
  readonly variant?: string;
}): Dispatch {
  const { values, output, rows, width, accumulate = false, variant = 'group-32' } = of;
  return columnDispatchOf(sum, variant, { values, output }, { rows, width, accumulate: accumulate ? 1 : 0 });
}

export function columnSumTruth(values: Float64Array, width: number): Float64Array {
  const output = new Float64Array(width);
  values.forEach((value, index) => addAt(output, index % width, value));
  return output;
}

export const columnSumTolerance: Tolerance = {
  absolute: 5e-5,
  relative: 1e-6,
  reason: 'up to 2,179 standard normals are summed in f32; sums may cancel, so their error is absolute',
};

export function columnSumCases(random: Random): KernelCase[] {
  return ['group-32', 'group-256'].flatMap((variant) =>
    [
      { rows: 1, width: 1, accumulate: false },
      { rows: 2179, width: 3, accumulate: true },
      { rows: 33, width: 97, accumulate: false },
    ].map(({ rows, width, accumulate }): KernelCase => {
      const values = normals(random, rows * width);
      const output = normals(random, width);
      const truth = columnSumTruth(toF64(values), width);
      return {
        kernel: 'reduce_columns',
        title: `${shapeOf(variant).slices} slices, rows ${rows}, width ${width}${accumulate ? ', added' : ''}`,
        tensors: { values, output },
        dispatches: (of) => [
          columnSumDispatch({ values: of('values'), output: of('output'), rows, width, accumulate, variant }),
        ],
        expected: { output: accumulate ? plus(truth, output) : truth },
        tolerance: columnSumTolerance,
      };
    }),
  );
}
