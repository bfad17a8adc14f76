/**
 * Blockwise int8 by the largest magnitude, as a definition in whole numbers, so that every adapter and this CPU code give
 * equal codes: of a block's floats the one of largest magnitude becomes 127 or -127. Also packs weights for
 * `int8-matmul.ts` at load; on the GPU the same is `quantise-int8.ts`.
 *
 * code = 127 x / largest, rounded to the nearest, halves away from zero; scale = largest / 127. Subnormal floats count as
 * zero, and a block of zeros has scale 0. A block with NaN or infinity has codes 0 and scale NaN, so that whoever
 * dequantises it sees NaN rather than zeros.
 */

import { at } from './truth.ts';

export interface Int8Blocks {
  /** [rows][words]: four int8 in each word, the first in the lowest byte; a row is filled up with zeros. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** [rows][blocks]. */
  readonly scales: Float32Array<ArrayBuffer>;
}

export interface Int8Sizes {
  readonly rows: number;
  /** Elements of a row. */
  readonly inner: number;
  /** Elements that share a scale, a multiple of 4; `inner` or more gives each row one scale. A row's last block may be shorter. */
  readonly block: number;
}

export const wordsOfRow = ({ inner }: Pick<Int8Sizes, 'inner'>): number => Math.ceil(inner / 4);
export const blocksOfRow = ({ inner, block }: Pick<Int8Sizes, 'inner' | 'block'>): number => Math.ceil(inner / block);

/** What f32 holds of 1 / 127: scales are this times the largest magnitude. */
const over127 = Math.fround(1 / 127);

export function quantiseInt8(values: Float32Array, sizes: Int8Sizes): Int8Blocks {
  const { rows, inner, block } = sizes;
  const [rowWords, rowBlocks] = [wordsOfRow(sizes), blocksOfRow(sizes)];
  const bytes = new Uint8Array(rows * rowWords * 4);
  const scales = new Float32Array(rows * rowBlocks);
  for (let own = 0; own < scales.length; own++) {
    const row = Math.floor(own / rowBlocks);
    const start = (own % rowBlocks) * block;
    const elements = values.subarray(row * inner + start, row * inner + Math.min(inner, start + block));
    const largest = elements.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (!Number.isFinite(largest)) scales[own] = NaN;
    else if (largest >= 2 ** -126) {
      scales[own] = Math.fround(largest * over127);
      bytes.set(
        elements.map((x) => code(x, largest) & 0xff),
        row * rowWords * 4 + start,
      );
    }
  }
  return { words: new Uint32Array(bytes.buffer), scales };
}

/** Exact: 127 |x| has 31 bits, and f64 divides and compares it without a wrong side of the half. */
function code(x: number, largest: number): number {
  if (Math.abs(x) < 2 ** -126) return 0;
  const doubled = 254 * Math.abs(x);
  const below = Math.floor((127 * Math.abs(x)) / largest);
  const candidates = [below - 1, below, below + 1];
  const nearest = candidates.findLast((whole) => doubled >= (2 * whole - 1) * largest) ?? 0;
  return Math.sign(x) * nearest;
}

/** The values that the blocks stand for. */
export function dequantiseInt8({ words, scales }: Int8Blocks, sizes: Int8Sizes): Float64Array<ArrayBuffer> {
  const { rows, inner, block } = sizes;
  const bytes = new Int8Array(words.buffer, words.byteOffset, words.byteLength);
  const [rowWords, rowBlocks] = [wordsOfRow(sizes), blocksOfRow(sizes)];
  return Float64Array.from({ length: rows * inner }, (_, index) => {
    const [row, element] = [Math.floor(index / inner), index % inner];
    const scale = at(scales, row * rowBlocks + Math.floor(element / block));
    return at(bytes, row * rowWords * 4 + element) * scale;
  });
}
