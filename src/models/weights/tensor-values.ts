/**
 * The numbers that a tensor's bytes stand for, as f32. Block formats are ggml's: their layouts are `block_q4_0`,
 * `block_q8_0`, `block_q4_K` and `block_q6_K` in ggml-common.h, what they mean `dequantize_row_*` in ggml-quants.c.
 * Products are made in f64 and rounded once; the f32 arithmetic of ggml rounds at the same one place, so bits are equal.
 * Loops are plain, as they run over every weight of a model.
 */

import { halfValue } from '../../kernels/half.ts';
import { tensorTypes, type TensorType } from './tensor-file.ts';

type Decode = (view: DataView, values: Float32Array) => void;

/** Values of whole blocks; `bytes` hold exactly them. */
export function tensorValues(type: TensorType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const block = tensorTypes[type];
  const values = new Float32Array((bytes.byteLength / block.bytes) * block.elements);
  decoders[type](new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), values);
  return values;
}

let halves: Float32Array | undefined;
/** All 65536 halves: made once, 256 KiB. */
const halfTable = (): Float32Array => (halves ??= Float32Array.from({ length: 0x10000 }, (_, bits) => halfValue(bits)));

const each =
  (bytes: number, read: (view: DataView, place: number) => number): Decode =>
  (view, values) => {
    for (let index = 0; index < values.length; index++) values[index] = read(view, index * bytes);
  };

/** A bf16 is the upper half of an f32. */
const decodeBrain: Decode = (view, values) => {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let index = 0; index < words.length; index++) words[index] = view.getUint16(2 * index, true) << 16;
};

const decoders: Record<TensorType, Decode> = {
  f64: each(8, (view, place) => view.getFloat64(place, true)),
  f32: (view, values) => {
    for (let index = 0; index < values.length; index++) values[index] = view.getFloat32(4 * index, true);
  },
  f16: (view, values) => {
    const table = halfTable();
    for (let index = 0; index < values.length; index++) values[index] = table[view.getUint16(2 * index, true)] ?? NaN;
  },
  bf16: decodeBrain,
  i64: each(8, (view, place) => Number(view.getBigInt64(place, true))),
  i32: each(4, (view, place) => view.getInt32(place, true)),
  i16: each(2, (view, place) => view.getInt16(place, true)),
  i8: each(1, (view, place) => view.getInt8(place)),
  u64: each(8, (view, place) => Number(view.getBigUint64(place, true))),
  u32: each(4, (view, place) => view.getUint32(place, true)),
  u16: each(2, (view, place) => view.getUint16(place, true)),
  u8: each(1, (view, place) => view.getUint8(place)),
  bool: each(1, (view, place) => view.getUint8(place)),
  q4_0: decodeQ4_0,
  q8_0: decodeQ8_0,
  q4_K: decodeQ4_K,
  q6_K: decodeQ6_K,
};

const halfAt = (view: DataView, place: number): number => halfTable()[view.getUint16(place, true)] ?? NaN;

/** Half `d`, 16 bytes: byte j holds weight j in its low nibble, weight j + 16 in its high one; weight = (nibble - 8) d. */
function decodeQ4_0(view: DataView, values: Float32Array): void {
  for (let block = 0, first = 0; first < values.length; block += 18, first += 32) {
    const scale = halfAt(view, block);
    for (let j = 0; j < 16; j++) {
      const byte = view.getUint8(block + 2 + j);
      values[first + j] = ((byte & 15) - 8) * scale;
      values[first + j + 16] = ((byte >> 4) - 8) * scale;
    }
  }
}

/** Half `d`, 32 int8; weight = int8 d. */
function decodeQ8_0(view: DataView, values: Float32Array): void {
  for (let block = 0, first = 0; first < values.length; block += 34, first += 32) {
    const scale = halfAt(view, block);
    for (let j = 0; j < 32; j++) values[first + j] = view.getInt8(block + 2 + j) * scale;
  }
}

/**
 * Halves `d` and `dmin`, 12 bytes of eight 6-bit scales and minima, 128 bytes of nibbles. Of each 64 weights the first 32
 * are the low nibbles of 32 bytes and the rest their high ones; weight = d scale nibble - dmin minimum.
 */
function decodeQ4_K(view: DataView, values: Float32Array): void {
  for (let block = 0, first = 0; first < values.length; block += 144, first += 256) {
    const scale = halfAt(view, block);
    const minimumScale = halfAt(view, block + 2);
    for (let part = 0; part < 8; part++) {
      const slope = scale * sixBits(view, block + 4, part, 0);
      const minimum = minimumScale * sixBits(view, block + 4, part, 4);
      const quants = block + 16 + 32 * (part >> 1);
      const shift = 4 * (part & 1);
      for (let l = 0; l < 32; l++) {
        values[first + 32 * part + l] = slope * ((view.getUint8(quants + l) >> shift) & 15) - minimum;
      }
    }
  }
}

/**
 * `get_scale_min_k4`: of the first four parts the low 6 bits of bytes 0 to 3 (scales) and 4 to 7 (minima, `of` 4); of the
 * other four a nibble of bytes 8 to 11 (low: scales, high: minima) under the top two bits of those first bytes.
 */
function sixBits(view: DataView, scales: number, part: number, of: 0 | 4): number {
  if (part < 4) return view.getUint8(scales + part + of) & 63;
  const low = (view.getUint8(scales + part + 4) >> of) & 15;
  return low | ((view.getUint8(scales + part - 4 + of) >> 6) << 4);
}

/**
 * 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 int8 scales, half `d`. Of each 128 weights, quarter q takes the
 * bit pair 2q of 32 bytes, and low nibbles (quarters 0, 1) or high ones (2, 3) of 64; weight = d scale (quant - 32).
 */
function decodeQ6_K(view: DataView, values: Float32Array): void {
  for (let block = 0, first = 0; first < values.length; block += 210, first += 256) {
    const scale = halfAt(view, block + 208);
    for (let quarter = 0; quarter < 8; quarter++) {
      const [half, q] = [quarter >> 2, quarter & 3];
      const low = block + 64 * half + 32 * (q & 1);
      const high = block + 128 + 32 * half;
      for (let l = 0; l < 32; l++) {
        const nibble = (view.getUint8(low + l) >> (q < 2 ? 0 : 4)) & 15;
        const quant = (nibble | (((view.getUint8(high + l) >> (2 * q)) & 3) << 4)) - 32;
        const own = view.getInt8(block + 192 + 2 * quarter + (l >> 4));
        values[first + 32 * quarter + l] = scale * own * quant;
      }
    }
  }
}
