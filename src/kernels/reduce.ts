/** Sums over a whole vector in a fixed order: plain, and of squares (the square of the global norm). */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, elementInvocations, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';

const declaration = { shader: 'reduce', tensors: ['input', '>output'] as const, numbers: ['count', 'parts'] as const };
const sum = defineKernel({ ...declaration, entryPoint: 'sum' });
const sumOfSquares = defineKernel({ ...declaration, entryPoint: 'sum_of_squares' });
const finish = defineKernel({ ...declaration, entryPoint: 'finish' });

/** Elements of the scratch tensor of `squaredNormDispatches` and `sumDispatches`. */
export const reduceParts = 8192;

interface Reduction {
  readonly values: Tensor;
  /** [reduceParts], a buffer of its own. */
  readonly scratch: Tensor;
  /** [1], a buffer of its own. */
  readonly output: Tensor;
  readonly count: number;
}

/** output[0] = sum of values[0 .. count). */
export const sumDispatches = (of: Reduction): Dispatch[] => reduceDispatches(sum, of);

/** output[0] = sum of squares of values[0 .. count); the norm is its root. */
export const squaredNormDispatches = (of: Reduction): Dispatch[] => reduceDispatches(sumOfSquares, of);

/** Part p sums elements p, p + parts, ...; then one workgroup sums the parts. How many parts depends on the count alone. */
function reduceDispatches(first: typeof sum, { values, scratch, output, count }: Reduction): Dispatch[] {
  const parts = Math.min(reduceParts, Math.ceil(Math.max(1, count) / 1024) * elementInvocations);
  return [
    dispatchOf(first, { input: values, output: scratch }, { count, parts }, elementGrid(parts)),
    dispatchOf(finish, { input: scratch, output }, { count: parts, parts: 1 }, [1, 1, 1]),
  ];
}

export const reduceKernels = [sum, sumOfSquares, finish];

export const sumTruth = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

export const squaredNormTruth = (values: Float64Array): number => sumTruth(values.map((value) => value * value));

export const reduceTolerance: Tolerance = {
  absolute: 2e-4,
  relative: 2e-6,
  reason:
    'up to 20,000 standard normals, in parts of 16, then 20 parts a lane, then 64 lanes; plain sums cancel, so their error is absolute',
};

export function reduceCases(random: Random): KernelCase[] {
  return [1, 3, 315, 2179, 20_000].flatMap((count): KernelCase[] => {
    const values = normals(random, count);
    const tensors = { values, scratch: new Float32Array(reduceParts), output: new Float32Array(1) };
    const title = `${count} elements`;
    const tolerance = reduceTolerance;
    return [
      {
        kernel: sum.name,
        title,
        tensors,
        dispatches: (of) =>
          sumDispatches({ values: of('values'), scratch: of('scratch'), output: of('output'), count }),
        expected: { output: Float64Array.of(sumTruth(toF64(values))) },
        tolerance,
      },
      {
        kernel: sumOfSquares.name,
        title,
        tensors,
        dispatches: (of) =>
          squaredNormDispatches({ values: of('values'), scratch: of('scratch'), output: of('output'), count }),
        expected: { output: Float64Array.of(squaredNormTruth(toF64(values))) },
        tolerance,
      },
    ];
  });
}
