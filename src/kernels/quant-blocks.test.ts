/** The block formats on the CPU, byte for byte as ggml lays them, and what damaged or impossible input is answered. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { halfBits } from './half.ts';
import { dequantise, packQ4_0, packQ8_0, quantiseQ4_0, quantiseQ8_0 } from './quant-blocks.ts';
import { normals } from './test-case.ts';
import { at } from './truth.ts';

const seed = 1;

/** One block's bytes: the half scale, then quants. */
const block = (scale: number, quants: readonly number[]): number[] => [
  halfBits(scale) & 0xff,
  halfBits(scale) >> 8,
  ...quants,
];

/** Two q4_0 blocks: low nibbles count up, high ones down; another scale in the second. */
const q4Bytes = Uint8Array.from(
  [0.5, -2].flatMap((scale) =>
    block(
      scale,
      Array.from({ length: 16 }, (_, j) => j | ((15 - j) << 4)),
    ),
  ),
);

test('q4_0: weight j is the low nibble of byte j less 8, weight j + 16 the high one, times the block own scale', () => {
  const weights = dequantise(packQ4_0(q4Bytes));
  const want = [0.5, -2].flatMap((scale) => [
    ...Array.from({ length: 16 }, (_, j) => (j - 8) * scale),
    ...Array.from({ length: 16 }, (_, j) => (15 - j - 8) * scale),
  ]);
  expect([...weights].map((x) => x + 0)).toEqual(want.map((x) => x + 0));
});

test('a wrong order of nibbles and the scale of the neighbouring block give other weights', () => {
  const right = dequantise(packQ4_0(q4Bytes));
  const swapped = q4Bytes.map((byte, place) => (place % 18 < 2 ? byte : ((byte & 15) << 4) | (byte >> 4)));
  expect(dequantise(packQ4_0(swapped))).not.toEqual(right);
  const { format, quants, scales } = packQ4_0(q4Bytes);
  const turned = scales.map((word) => ((word >>> 16) | (word << 16)) >>> 0);
  expect(dequantise({ format, quants, scales: turned })).not.toEqual(right);
});

test('q8_0: byte j is weight j as int8, and an odd count of blocks leaves the last half word empty', () => {
  const bytes = Uint8Array.from(
    [1, 0.25, 2].flatMap((scale) =>
      block(
        scale,
        Array.from({ length: 32 }, (_, j) => (j * 8 - 128) & 0xff),
      ),
    ),
  );
  const packed = packQ8_0(bytes);
  expect(packed.scales).toHaveLength(2);
  expect([...dequantise(packed)]).toEqual(
    [1, 0.25, 2].flatMap((scale) => Array.from({ length: 32 }, (_, j) => (j * 8 - 128) * scale)),
  );
});

test(`quantised weights are within half a step of the weights, seed ${seed}`, () => {
  const weights = normals(createRandom(seed), 32 * 9);
  for (const [quantise, levels] of [[quantiseQ4_0, 8] as const, [quantiseQ8_0, 127] as const]) {
    const back = dequantise(quantise(weights));
    for (let start = 0; start < weights.length; start += 32) {
      const own = weights.subarray(start, start + 32);
      const step = own.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / levels;
      // The end of q4_0's range that has no +8 is cut by up to a whole step; the half scale adds 2^-11 of the range.
      const allowed = step * (levels === 8 ? 1.01 : 0.57);
      own.forEach((x, index) => expect(Math.abs(at(back, start + index) - x)).toBeLessThanOrEqual(allowed));
    }
  }
});

test('a block of zeros stays zeros, and the largest weight of a q4_0 block becomes -8 steps', () => {
  expect([...dequantise(quantiseQ4_0(new Float32Array(32)))].every((x) => x === 0)).toBe(true);
  expect([...dequantise(quantiseQ8_0(new Float32Array(32)))].every((x) => x === 0)).toBe(true);
  const weights = new Float32Array(32).fill(1);
  weights[5] = -4;
  expect(dequantise(quantiseQ4_0(weights))[5]).toBe(-4);
});

test('bad input is refused in one line', () => {
  expect(() => packQ4_0(new Uint8Array(35))).toThrow('q4_0: 35 bytes are no whole number of blocks of 18');
  expect(() =>
    packQ8_0(
      Uint8Array.from(
        block(
          Infinity,
          Array.from({ length: 32 }, () => 1),
        ),
      ),
    ),
  ).toThrow('q8_0: the scale of block 0 is Infinity; the file is damaged');
  expect(() => quantiseQ4_0(new Float32Array(33))).toThrow('33 weights are no whole number of blocks');
  expect(() => quantiseQ8_0(Float32Array.from({ length: 32 }, (_, j) => (j === 7 ? NaN : j)))).toThrow(
    'q8_0: weight 7 is NaN; only finite weights quantise',
  );
});
