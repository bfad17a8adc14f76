/**
 * Rotary position embedding (Su et al., "RoFormer", 2021) over interleaved pairs (elements 2i and 2i + 1 of a head), as
 * llama2.c has it. Turns values in place; the gradient is the inverse turn. Angles come from a table made on the CPU in
 * f64, because WGSL promises little about sines of large angles. The turn on the way into a cache is `rope-store.ts`.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { at } from './truth.ts';
import { ropeTable } from './rope-table.ts';

export { ropeTable } from './rope-table.ts';

const kernel = defineKernel({
  shader: 'rope',
  tensors: ['table', '>values'],
  numbers: ['rows', 'tokens', 'heads', 'head_size', 'row_stride', 'position_start', 'inverse'],
});

/**
 * values [rows, heads, headSize] in place, rows = sequences * tokens; row r stands at position
 * positionStart + r % tokens, which must be below the table's positions. `inverse` (default false) turns back: that is
 * the gradient. headSize is even.
 */
export function ropeDispatch(of: {
  readonly table: Tensor;
  readonly values: Tensor;
  readonly rows: number;
  readonly tokens: number;
  readonly heads: number;
  readonly headSize: number;
  /** Elements from one row to the next; default heads * headSize. */
  readonly rowStride?: number;
  readonly positionStart?: number;
  readonly inverse?: boolean;
}): Dispatch {
  const { table, values, rows, tokens, heads, headSize, positionStart = 0, inverse = false } = of;
  const { rowStride = heads * headSize } = of;
  const sizes = { rows, tokens, heads, head_size: headSize, row_stride: rowStride, position_start: positionStart };
  const numbers = { ...sizes, inverse: inverse ? 1 : 0 };
  return dispatchOf(kernel, { table, values }, numbers, elementGrid((rows * headSize) / 2));
}

export const ropeKernels = [kernel];

/** The turned copy of values [rows, heads, headSize]. */
export function ropeTruth(
  values: Float64Array,
  sizes: { tokens: number; heads: number; headSize: number; positionStart?: number; base?: number; inverse?: boolean },
): Float64Array {
  const { tokens, heads, headSize, positionStart = 0, base = 10000, inverse = false } = sizes;
  return values.map((value, index) => {
    const dimension = index % headSize;
    const position = positionStart + (Math.floor(index / (heads * headSize)) % tokens);
    const angle = position * base ** (-(dimension - (dimension % 2)) / headSize) * (inverse ? -1 : 1);
    const partner = at(values, index % 2 === 0 ? index + 1 : index - 1);
    return value * Math.cos(angle) + partner * Math.sin(angle) * (index % 2 === 0 ? -1 : 1);
  });
}

export const ropeTolerance: Tolerance = {
  absolute: 2e-6,
  relative: 1e-6,
  reason: 'two products and a sum, with cosines and sines rounded to f32',
};

export function ropeCases(random: Random): KernelCase[] {
  return [
    { sequences: 1, tokens: 1, heads: 1, headSize: 2, positionStart: 0, inverse: false, more: 0 },
    { sequences: 3, tokens: 65, heads: 3, headSize: 6, positionStart: 0, inverse: true, more: 0 },
    { sequences: 2, tokens: 5, heads: 2, headSize: 48, positionStart: 315, inverse: false, more: 0 },
    { sequences: 1, tokens: 3, heads: 2, headSize: 4, positionStart: 1, inverse: false, more: 5 },
  ].map(({ more, ...sizes }): KernelCase => {
    const { sequences, tokens, heads, headSize, positionStart, inverse } = sizes;
    const rows = sequences * tokens;
    const width = heads * headSize;
    const rowStride = width + more;
    const values = normals(random, rows * rowStride);
    const expected = toF64(values);
    const turned = ropeTruth(toF64(values.filter((_, index) => index % rowStride < width)), sizes);
    for (let row = 0; row < rows; row++) expected.set(turned.subarray(row * width, (row + 1) * width), row * rowStride);
    return {
      kernel: kernel.name,
      title: `${sequences} x ${tokens} tokens from ${positionStart}, ${heads} heads of ${headSize}${inverse ? ', inverse' : ''}`,
      tensors: { table: ropeTable(positionStart + tokens, headSize), values },
      dispatches: (of) => [ropeDispatch({ table: of('table'), values: of('values'), rows, rowStride, ...sizes })],
      expected: { values: expected },
      tolerance: ropeTolerance,
    };
  });
}
