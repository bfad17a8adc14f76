import { describe, expect, test } from 'vitest';
import { createRandom } from '../../core/prng.ts';
import { dequantise, quantiseQ4_0, quantiseQ8_0 } from '../../kernels/quant-blocks.ts';
import { halfBits } from '../../kernels/half.ts';
import { encodeValues } from './encode-gguf.ts';
import { tensorValues } from './tensor-values.ts';

const seed = 20;
const half = (value: number): [number, number] => [halfBits(value) & 255, halfBits(value) >> 8];
const values = (type: Parameters<typeof tensorValues>[0], ...bytes: number[]) =>
  Array.from(tensorValues(type, Uint8Array.from(bytes)));

describe('plain numbers', () => {
  test('halves: normal, subnormal, infinite, negative zero', () => {
    expect(values('f16', ...half(1.5), ...half(-(2 ** -24)), 0x00, 0x7c, 0x00, 0x80)).toEqual([
      1.5,
      -(2 ** -24),
      Infinity,
      -0,
    ]);
  });

  test('a bf16 is the upper half of an f32', () => {
    expect(values('bf16', 0x80, 0x3f, 0x49, 0xc0, 0x80, 0xff)).toEqual([1, -3.140625, -Infinity]);
    expect(values('bf16', 0xc0, 0x7f)).toEqual([NaN]);
  });

  test('integers of all widths, little endian', () => {
    expect(values('i64', 0xfe, 255, 255, 255, 255, 255, 255, 255)).toEqual([-2]);
    expect(values('u64', 1, 1, 0, 0, 0, 0, 0, 0)).toEqual([257]);
    expect(values('i16', 0xff, 0x7f, 0, 0x80)).toEqual([32767, -32768]);
    expect(values('u16', 0xff, 0xff)).toEqual([65535]);
    expect(values('i8', 0x80, 0x7f)).toEqual([-128, 127]);
    expect(values('f64', 0, 0, 0, 0, 0, 0, 0xf8, 0x3f)).toEqual([1.5]);
  });
});

describe("ggml's blocks", () => {
  test('q4_0: weight j is the low nibble of byte j, weight j + 16 the high one, both less 8', () => {
    const block = [...half(0.5), ...Array.from({ length: 16 }, (_, j) => j | ((15 - j) << 4))];
    const expected = [
      ...Array.from({ length: 16 }, (_, j) => (j - 8) / 2),
      ...Array.from({ length: 16 }, (_, j) => (7 - j) / 2),
    ];
    expect(values('q4_0', ...block)).toEqual(expected);
  });

  test('q8_0: int8 times the scale, block after block', () => {
    const quants = Array.from({ length: 32 }, (_, j) => (j * 8) & 255);
    const expected = quants.map((byte) => ((byte << 24) >> 24) * 0.25);
    expect(values('q8_0', ...half(0.25), ...quants, ...half(-0.25), ...quants)).toEqual([
      ...expected,
      ...expected.map((value) => -value),
    ]);
  });

  test('q4_K: eight parts with scales and minima of six bits, the last four of them put together from two places', () => {
    // Scales 1, 2, 3, 63, 17, 33, 49, 62 and minima 5, 6, 7, 60, 18, 34, 50, 61.
    const scales = [1, 2, 3, 63, 17, 33, 49, 62];
    const minima = [5, 6, 7, 60, 18, 34, 50, 61];
    const at = (list: readonly number[], index: number): number => list[index] ?? NaN;
    const packed = [
      ...[0, 1, 2, 3].map((j) => at(scales, j) | ((at(scales, j + 4) >> 4) << 6)),
      ...[0, 1, 2, 3].map((j) => at(minima, j) | ((at(minima, j + 4) >> 4) << 6)),
      ...[0, 1, 2, 3].map((j) => (at(scales, j + 4) & 15) | ((at(minima, j + 4) & 15) << 4)),
    ];
    const random = createRandom(seed, 1);
    const nibbles = Array.from({ length: 256 }, () => random.below(16));
    const quants: number[] = [];
    for (let group = 0; group < 256; group += 64) {
      for (let l = 0; l < 32; l++) quants.push(at(nibbles, group + l) | (at(nibbles, group + 32 + l) << 4));
    }
    const expected = nibbles.map((nibble, index) => {
      const part = Math.floor(index / 32);
      return 0.5 * at(scales, part) * nibble - 0.25 * at(minima, part);
    });
    expect(values('q4_K', ...half(0.5), ...half(0.25), ...packed, ...quants)).toEqual(expected);
  });

  test('q6_K: low nibbles, then pairs of high bits, then int8 scales of sixteen weights each, then the scale of all', () => {
    const random = createRandom(seed, 2);
    const quants = Array.from({ length: 256 }, () => random.below(64));
    const scales = Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? index + 1 : -8 * index));
    const at = (list: readonly number[], index: number): number => list[index] ?? NaN;
    const low: number[] = [];
    const high: number[] = [];
    for (const first of [0, 128]) {
      const q = (quarter: number, l: number): number => at(quants, first + 32 * quarter + l);
      for (const quarter of [0, 1]) {
        for (let l = 0; l < 32; l++) low.push((q(quarter, l) & 15) | ((q(quarter + 2, l) & 15) << 4));
      }
      for (let l = 0; l < 32; l++) {
        high.push((q(0, l) >> 4) | ((q(1, l) >> 4) << 2) | ((q(2, l) >> 4) << 4) | ((q(3, l) >> 4) << 6));
      }
    }
    const expected = quants.map((quant, index) => 0.125 * at(scales, Math.floor(index / 16)) * (quant - 32));
    expect(values('q6_K', ...low, ...high, ...scales.map((scale) => scale & 255), ...half(0.125))).toEqual(expected);
  });

  test('what we quantise reads back as the kernels understand it, and is near what it was', () => {
    const random = createRandom(seed, 3);
    const weights = Float32Array.from({ length: 32 * 65 }, () => random.normal());
    for (const [type, quantise, error] of [
      ['q8_0', quantiseQ8_0, 1 / 254],
      // The block's largest weight is -8 steps; one as large of the other sign has only 7.
      ['q4_0', quantiseQ4_0, 1 / 8],
    ] as const) {
      const read = tensorValues(type, encodeValues(type, weights));
      expect(read, `seed ${seed}`).toEqual(Float32Array.from(dequantise(quantise(weights))));
      for (let block = 0; block < weights.length; block += 32) {
        const own = weights.subarray(block, block + 32);
        const largest = Math.max(...own.map(Math.abs));
        // A step's rounding, and the scale's own to a half.
        for (const [index, value] of own.entries()) {
          expect(Math.abs(value - (read[block + index] ?? NaN))).toBeLessThan(largest * (error + 2 ** -10) * 1.01);
        }
      }
    }
  });
});
