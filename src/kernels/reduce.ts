/** Sums over a whole vector in a fixed order: plain, and of squares (the square of the global norm). */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

const declaration = { shader: 'reduce', tensors: ['input', '>output'] as const, numbers: ['count', 'parts'] as const };
const sum = defineKernel({ ...declaration, entryPoint: 'sum' });
const sumOfSquares = defineKernel({ ...declaration, entryPoint: 'sum_of_squares' });

/** Elements of the scratch tensor of `squaredNormDispatches` and `sumDispatches`. */
export const reduceParts = 1024;

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

/** Part p sums elements p, p + parts, ...; then one invocation sums the parts. */
function reduceDispatches(first: typeof sum, { values, scratch, output, count }: Reduction): Dispatch[] {
  return [
    dispatchOf(first, { input: values, output: scratch }, { count, parts: reduceParts }, gridOf(reduceParts, 64)),
    dispatchOf(sum, { input: scratch, output }, { count: reduceParts, parts: 1 }, [1, 1, 1]),
  ];
}
