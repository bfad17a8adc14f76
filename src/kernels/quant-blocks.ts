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

function pack(format: QuantFormat, bytes: Uint8Array): QuantWeights {
  const blockBytes = ggmlBlockBytes[format];
  const blocks = bytes.length / blockBytes;
  if (!Number.isInteger(blocks)) {
    throw new RangeError(`${format}: ${bytes.length} bytes are no whole number of blocks of ${blockBytes}`);
  }
  const flip = format === 'q4_0' ? 0x88 : 0;
  const quants = new Uint8Array(blocks * quantWords[format] * 4);
  const scales = new Uint32Array(Math.ceil(blocks / 2));
  for (let block = 0; block < blocks; block++) {
    const start = block * blockBytes;
    const half = at(bytes, start) | (at(bytes, start + 1) << 8);
    if ((half & 0x7c00) === 0x7c00) {
      throw new RangeError(`${format}: the scale of block ${block} is ${halfValue(half)}; the file is damaged`);
    }
    setScale(scales, block, half);
    const size = blockBytes - 2;
    for (let byte = 0; byte < size; byte++) quants[block * size + byte] = at(bytes, start + 2 + byte) ^ flip;
  }
  return { format, quants: wordsOf(quants), scales };
}

/** As ggml's `quantize_row_q4_0_ref`: the weight of largest magnitude becomes -8. Throws one line on a weight that is not finite. */
export function quantiseQ4_0(weights: Float32Array): QuantWeights {
  return quantise('q4_0', weights, (block) => {
    const largest = block.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
    const scale = largest / -8;
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const nibble = (x: number): number => Math.min(15, Math.trunc(Math.fround(Math.fround(x * inverse) + 8.5))) ^ 8;
    const bytes = Array.from({ length: 16 }, (_, j) => nibble(at(block, j)) | (nibble(at(block, j + 16)) << 4));
    return { scale, bytes };
  });
}

/** As ggml's `quantize_row_q8_0_ref`: the weight of largest magnitude becomes 127 or -127. Throws one line on a weight that is not finite. */
export function quantiseQ8_0(weights: Float32Array): QuantWeights {
  return quantise('q8_0', weights, (block) => {
    const largest = block.reduce((best, x) => Math.max(best, Math.abs(x)), 0);
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    return { scale, bytes: Array.from(block, (x) => roundAway(Math.fround(x * inverse)) & 0xff) };
  });
}

/** C's `roundf`: halves away from zero. */
const roundAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

function quantise(
  format: QuantFormat,
  weights: Float32Array,
  ofBlock: (block: Float32Array) => { scale: number; bytes: readonly number[] },
): QuantWeights {
  assert(weights.length % quantBlock === 0, `${format}: ${weights.length} weights are no whole number of blocks of 32`);
  const wrong = weights.findIndex((x) => !Number.isFinite(x));
  if (wrong >= 0) throw new RangeError(`${format}: weight ${wrong} is ${weights[wrong]}; only finite weights quantise`);
  const blocks = weights.length / quantBlock;
  const quants = new Uint8Array(blocks * quantWords[format] * 4);
  const scales = new Uint32Array(Math.ceil(blocks / 2));
  for (let block = 0; block < blocks; block++) {
    const { scale, bytes } = ofBlock(weights.subarray(block * quantBlock, (block + 1) * quantBlock));
    quants.set(bytes, block * bytes.length);
    setScale(scales, block, halfBits(scale));
  }
  return { format, quants: wordsOf(quants), scales };
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

function setScale(scales: Uint32Array, block: number, half: number): void {
  scales[block >>> 1] = (at(scales, block >>> 1) | (half << (16 * (block & 1)))) >>> 0;
}

/** Little-endian words, as GPUs read them. */
const wordsOf = (bytes: Uint8Array<ArrayBuffer>): Uint32Array<ArrayBuffer> => new Uint32Array(bytes.buffer);
