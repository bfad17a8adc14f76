/**
 * Rotary position embedding (Su et al., "RoFormer", 2021) over interleaved pairs (elements 2i and 2i + 1 of a head), as
 * llama2.c has it. Turns values in place; the gradient is the inverse turn. Angles come from a table made on the CPU in
 * f64, because WGSL promises little about sines of large angles.
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

const kernel = defineKernel({
  shader: 'rope',
  tensors: ['table', '>values'],
  numbers: ['rows', 'tokens', 'heads', 'head_size', 'position_start', 'inverse'],
});

/** Cosine and sine of position * base^(-2i / headSize): shape [positions, headSize / 2, 2]. Upload it once. */
export function ropeTable(positions: number, headSize: number, base = 10000): Float32Array<ArrayBuffer> {
  const half = headSize / 2;
  const table = new Float32Array(positions * headSize);
  for (let position = 0; position < positions; position++) {
    for (let pair = 0; pair < half; pair++) {
      const angle = position * base ** (-pair / half);
      table[position * headSize + 2 * pair] = Math.cos(angle);
      table[position * headSize + 2 * pair + 1] = Math.sin(angle);
    }
  }
  return table;
}

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
  readonly positionStart?: number;
  readonly inverse?: boolean;
}): Dispatch {
  const { table, values, rows, tokens, heads, headSize, positionStart = 0, inverse = false } = of;
  return dispatchOf(
    kernel,
    { table, values },
    { rows, tokens, heads, head_size: headSize, position_start: positionStart, inverse: inverse ? 1 : 0 },
    gridOf((rows * heads * headSize) / 2, 64),
  );
}
