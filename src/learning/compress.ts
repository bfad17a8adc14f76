/**
 * What a contribution's vector looks like on the wire: `none` is f32, little endian; `uint8` is one byte an element and a
 * table of 256 f32 (Prime Intellect, INTELLECT-1: uniform bins of 6 sigma / 256, each decoded as the mean of what fell in
 * it, so that the sum stays exact although outliers share the outermost bins).
 */

import { concat, copyBytes, viewBytes, type Bytes } from '../core/bytes.ts';
import { ok, problem, type Result } from '../core/result.ts';
import type { Method } from '../protocol/manifest.ts';

export type Compression = Method['compress'];

const bins = 256;
const tableBytes = bins * 4;

export interface Quantised {
  readonly codes: Uint8Array<ArrayBuffer>;
  /** The mean of the values of each code; 0 where there is none. */
  readonly table: Float64Array;
}

/** Bins around zero by the uncentred deviation ||x|| / sqrt(n - 1). A vector of zeros has deviation 0 and decodes to zeros. */
export function quantise(values: Float32Array): Quantised {
  const squares = values.reduce((sum, x) => sum + x * x, 0);
  const scale = (6 * Math.sqrt(squares / Math.max(1, values.length - 1))) / bins;
  const codes = new Uint8Array(values.length);
  const sums = new Float64Array(bins);
  const counts = new Float64Array(bins);
  for (const [index, x] of values.entries()) {
    const code = scale === 0 ? bins / 2 : Math.min(bins - 1, Math.max(0, Math.round(x / scale) + bins / 2));
    codes[index] = code;
    sums[code] = (sums[code] ?? 0) + x;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return { codes, table: sums.map((sum, code) => sum / Math.max(1, counts[code] ?? 0)) };
}

export function compress(values: Float32Array, compression: Compression): Bytes {
  if (compression === 'none') return copyBytes(viewBytes(values));
  const { codes, table } = quantise(values);
  return concat(viewBytes(Float32Array.from(table)), codes);
}

/** Wire bytes of a vector of this length. */
export const compressedBytes = (elements: number, compression: Compression): number =>
  compression === 'none' ? elements * 4 : tableBytes + elements;

/** The vector of `elements` finite numbers; a wrong length or a number that is none is refused. */
export function decompress(
  bytes: Uint8Array,
  compression: Compression,
  elements: number,
): Result<Float32Array<ArrayBuffer>> {
  const expected = compressedBytes(elements, compression);
  if (bytes.byteLength !== expected) {
    return problem(
      'contribution',
      `contribution: ${bytes.byteLength} bytes, ${elements} parameters as ${compression} are ${expected}`,
    );
  }
  const decoded =
    compression === 'none'
      ? new Float32Array(copyBytes(bytes).buffer)
      : lookUp(new Float32Array(copyBytes(bytes.subarray(0, tableBytes)).buffer), bytes.subarray(tableBytes));
  const wrong = decoded.findIndex((x) => !Number.isFinite(x));
  if (wrong >= 0)
    return problem('contribution', `contribution: element ${wrong} is ${decoded[wrong]}, not a finite number`);
  return ok(decoded);
}

const lookUp = (table: Float32Array, codes: Uint8Array): Float32Array<ArrayBuffer> =>
  Float32Array.from(codes, (code) => table[code] ?? 0);
