/**
 * Rows of activations as bytes on their way from stage to stage: as they are, as halves (IEEE 754 binary16), or as bytes with
 * a scale for every block of 32 (absolute maximum / 127, as ggml's q8_0 has it). The receiver checks sizes: neighbours are
 * strangers.
 */

import type { Bytes } from '../core/bytes.ts';
import { halfBits, halfValue } from '../kernels/half.ts';
import type { ActivationFormat } from '../protocol/manifest.ts';

const block = 32;

/** Bytes of one row; int8 pads the last block. */
export function activationBytes(format: ActivationFormat, width: number): number {
  if (format === 'f32') return 4 * width;
  if (format === 'f16') return 2 * width;
  return Math.ceil(width / block) * (4 + block);
}

/** `values` are rows of `width`; none may be beyond a half's range (65504) for f16, which would become infinite. */
export function encodeActivations(format: ActivationFormat, values: Float32Array, width: number): Bytes {
  if (format === 'f32') return new Uint8Array(Float32Array.from(values).buffer);
  if (format === 'f16') return new Uint8Array(Uint16Array.from(values, halfBits).buffer);
  const rows = values.length / width;
  const rowBytes = activationBytes(format, width);
  const bytes = new Uint8Array(rows * rowBytes);
  const view = new DataView(bytes.buffer);
  for (let row = 0; row < rows; row++) {
    for (let first = 0; first < width; first += block) {
      const own = values.subarray(row * width + first, row * width + Math.min(first + block, width));
      const scale = Math.fround(own.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127);
      const start = row * rowBytes + (first / block) * (4 + block);
      view.setFloat32(start, scale, true);
      for (const [index, value] of own.entries()) {
        view.setInt8(start + 4 + index, scale === 0 ? 0 : Math.round(value / scale));
      }
    }
  }
  return bytes;
}

/** The rows, or undefined where the bytes are not so many rows of this width. */
export function decodeActivations(
  format: ActivationFormat,
  bytes: Uint8Array,
  rows: number,
  width: number,
): Float32Array<ArrayBuffer> | undefined {
  const rowBytes = activationBytes(format, width);
  if (bytes.byteLength !== rows * rowBytes) return undefined;
  const values = new Float32Array(rows * width);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) {
      values[row * width + column] = valueAt(format, view, row * rowBytes, column);
    }
  }
  return values;
}

function valueAt(format: ActivationFormat, view: DataView, row: number, column: number): number {
  if (format === 'f32') return view.getFloat32(row + 4 * column, true);
  if (format === 'f16') return halfValue(view.getUint16(row + 2 * column, true));
  const start = row + Math.floor(column / block) * (4 + block);
  return view.getFloat32(start, true) * view.getInt8(start + 4 + (column % block));
}
