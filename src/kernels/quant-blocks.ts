/**
 * Weights in ggml's block formats q4_0 and q8_0, repacked so that shaders read whole words: a matrix [rows, inner] is two
 * tensors of u32. Pure functions, run once when weights are loaded; the kernels that read the layout are
 * `quant-matvec.ts` and `quant-matmul.ts`.
 *
 * ggml (ggml-common.h, `block_q4_0` and `block_q8_0`): 32 weights a block, a half `d` and then the quants, row by row.
 * - q4_0, 18 bytes: byte j holds weight j in its low nibble and weight j + 16 in its high one; weight = (nibble - 8) d.
 * - q8_0, 34 bytes: byte j is weight j as int8; weight = byte d.
 *
 * Ours:
 * - `quants`: the blocks' quants in their order without scales, 4 words a q4_0 block and 8 a q8_0 block. Nibbles are
 *   turned by XOR 8 into two's complement, so that a shift makes a signed number of one: weight = nibble d.
 * - `scales`: the blocks' halves, two a word, the even block in the low half.
 */

import { assert } from '../core/assert.ts';
import { halfBits, halfValue } from './half.ts';
import { at } from './truth.ts';

export type QuantFormat = 'q4_0' | 'q8_0';

export interface QuantWeights {
  readonly format: QuantFormat;
  /** Blocks x 4 words (q4_0) or x 8 words (q8_0). */
  readonly quants: Uint32Array<ArrayBuffer>;
  /** One half a block, two a word. */
  readonly scales: Uint32Array<ArrayBuffer>;
}

/** Weights that share a scale. */
export const quantBlock = 32;

/** Words of a block's quants. */
export const quantWords = { q4_0: 4, q8_0: 8 } as const satisfies Record<QuantFormat, number>;

/** Bytes of a block in ggml's files. */
export const ggmlBlockBytes = { q4_0: 18, q8_0: 34 } as const satisfies Record<QuantFormat, number>;

/** Repacks ggml's blocks. Throws one line when the bytes are no whole number of blocks or a scale is not finite. */
export const packQ4_0 = (bytes: Uint8Array): QuantWeights => pack('q4_0', bytes);
export const packQ8_0 = (bytes: Uint8Array): QuantWeights => pack('q8_0', bytes);

/** Plain loops over halves of words, as it runs over every weight of a model. */
function pack(format: QuantFormat, bytes: Uint8Array): QuantWeights {
  const blockBytes = ggmlBlockBytes[format];
  const blocks = bytes.length / blockBytes;
  if (!Number.isInteger(blocks)) {
    throw new RangeError(`${format}: ${bytes.length} bytes are no whole number of blocks of ${blockBytes}`);
  }
  const even = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  const halves = new Uint16Array(even.buffer, even.byteOffset, bytes.length / 2);
  const own = blockBytes / 2 - 1;
  const flip = format === 'q4_0' ? 0x8888 : 0;
  const quants = new Uint32Array(blocks * quantWords[format]);
  const words = new Uint16Array(quants.buffer);
  const scales = new Uint32Array(Math.ceil(blocks / 2));
  const scaleHalves = new Uint16Array(scales.buffer);
  for (let block = 0, from = 0, to = 0; block < blocks; block++) {
    const half = halves[from++] ?? 0;
    if ((half & 0x7c00) === 0x7c00) {
      throw new RangeError(`${format}: the scale of block ${block} is ${halfValue(half)}; the file is damaged`);
    }
    scaleHalves[block] = half;
    for (const end = to + own; to < end; to++) words[to] = (halves[from++] ?? 0) ^ flip;
  }
  return { format, quants, scales };
}

/** As ggml's `quantize_row_q4_0_ref`: the weight of largest magnitude becomes -8. Throws one line on a weight that is not finite. */
export function quantiseQ4_0(weights: Float32Array): QuantWeights {
  const made = emptyFor('q4_0', weights);
  const { scales, bytes } = made;
  for (let block = 0, first = 0, to = 0; first < weights.length; block++, first += quantBlock) {
    const scale = (weights[placeOfLargest('q4_0', weights, first)] ?? 0) / -8;
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    scales[block] = halfBits(scale);
    for (let j = first; j < first + 16; j++) {
      bytes[to++] = nibbleOf(weights[j] ?? 0, inverse) | (nibbleOf(weights[j + 16] ?? 0, inverse) << 4);
    }
  }
  return made.weights;
}

const nibbleOf = (x: number, inverse: number): number =>
  Math.min(15, Math.trunc(Math.fround(Math.fround(x * inverse) + 8.5))) ^ 8;

/** As ggml's `quantize_row_q8_0_ref`: the weight of largest magnitude becomes 127 or -127. Throws one line on a weight that is not finite. */
export function quantiseQ8_0(weights: Float32Array): QuantWeights {
  const made = emptyFor('q8_0', weights);
  const { scales, bytes } = made;
  for (let block = 0, first = 0; first < weights.length; block++, first += quantBlock) {
    const scale = Math.fround(Math.abs(weights[placeOfLargest('q8_0', weights, first)] ?? 0) / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    scales[block] = halfBits(scale);
    for (let j = first; j < first + quantBlock; j++) bytes[j] = roundAway(Math.fround((weights[j] ?? 0) * inverse));
  }
  return made.weights;
}

/** C's `roundf`: halves away from zero. */
const roundAway = (x: number): number => (x < 0 ? -Math.floor(0.5 - x) : Math.floor(x + 0.5));

/** Packed weights to be filled, and their scales one by one and quants byte by byte. */
function emptyFor(format: QuantFormat, weights: Float32Array) {
  assert(weights.length % quantBlock === 0, `${format}: ${weights.length} weights are no whole number of blocks of 32`);
  const blocks = weights.length / quantBlock;
  const quants = new Uint32Array(blocks * quantWords[format]);
  const scales = new Uint32Array(Math.ceil(blocks / 2));
  return {
    weights: { format, quants, scales },
    scales: new Uint16Array(scales.buffer),
    bytes: new Uint8Array(quants.buffer),
  };
}

/** The first weight of a block that none exceeds in magnitude. */
function placeOfLargest(format: QuantFormat, weights: Float32Array, first: number): number {
  let place = first;
  let largest = 0;
  for (let index = first; index < first + quantBlock; index++) {
    const magnitude = Math.abs(weights[index] ?? 0);
    if (!(magnitude <= Number.MAX_VALUE)) {
      throw new RangeError(`${format}: weight ${index} is ${weights[index]}; only finite weights quantise`);
    }
    if (magnitude > largest) {
      largest = magnitude;
      place = index;
    }
  }
  return place;
}

/** The weights that the packed ones stand for, exactly. */
export function dequantise({ format, quants, scales }: QuantWeights): Float64Array<ArrayBuffer> {
  const bytes = new Uint8Array(quants.buffer, quants.byteOffset, quants.byteLength);
  const size = quantWords[format] * 4;
  const weights = new Float64Array((bytes.length / size) * quantBlock);
  for (const index of weights.keys()) {
    const block = Math.floor(index / quantBlock);
    const place = index % quantBlock;
    const byte = at(bytes, block * size + (place % size));
    const quant = format === 'q8_0' ? (byte << 24) >> 24 : (byte << (place < 16 ? 28 : 24)) >> 28;
    weights[index] = quant * scaleOf(scales, block);
  }
  return weights;
}

export const scaleOf = (scales: Uint32Array, block: number): number =>
  halfValue((at(scales, block >>> 1) >>> (16 * (block & 1))) & 0xffff);
