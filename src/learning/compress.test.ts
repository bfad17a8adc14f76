/** What compression keeps and loses, in numbers measured for it elsewhere. */

import { describe, expect, test } from 'vitest';
import { viewBytes } from '../core/bytes.ts';
import { createRandom } from '../core/prng.ts';
import { expectInput } from '../core/result.ts';
import { compress, compressedBytes, decompress, quantise } from './compress.ts';

const seed = 22;

function normalVector(length: number): Float32Array<ArrayBuffer> {
  const random = createRandom(seed);
  return Float32Array.from({ length }, () => random.normal());
}

const refusal = (bytes: Uint8Array, compression: 'none' | 'uint8', elements: number): string => {
  const read = decompress(bytes, compression, elements);
  return read.ok ? 'accepted' : read.error.text;
};

describe('uint8 with bin means', () => {
  test(
    `a million normal numbers: relative error near 2.6e-4, cosine 0.9999, the sum kept (seed ${seed})`,
    { timeout: 60_000 },
    () => {
      const count = 1_000_000;
      const values = normalVector(count);
      const { codes, table } = quantise(values);
      let [error, squares, dot, decodedSquares, sumError] = [0, 0, 0, 0, 0];
      for (const [index, x] of values.entries()) {
        const decoded = table[codes[index] ?? 0] ?? NaN;
        error += (decoded - x) ** 2;
        squares += x * x;
        dot += decoded * x;
        decodedSquares += decoded * decoded;
        sumError += decoded - x;
      }
      expect(error / squares).toBeGreaterThan(2.3e-4);
      expect(error / squares).toBeLessThan(2.9e-4);
      expect(dot / Math.sqrt(squares * decodedSquares)).toBeGreaterThan(0.99985);
      expect(Math.abs(sumError)).toBeLessThan(1e-9 * count);
    },
  );

  test('a vector of zeros, of one element and of one huge outlier decode to numbers', () => {
    const roundTrip = (values: Float32Array) =>
      Array.from(expectInput(decompress(compress(values, 'uint8'), 'uint8', values.length)));
    expect(roundTrip(new Float32Array(5))).toEqual([0, 0, 0, 0, 0]);
    expect(roundTrip(Float32Array.of(-3))).toEqual([-3]);
    const outlier = roundTrip(Float32Array.from([1e6, ...Array.from({ length: 999 }, () => 1)]));
    expect(outlier[0]).toBeCloseTo(1e6, -1);
    expect(outlier[5]).toBeCloseTo(1, 3);
  });
});

describe('the wire form', () => {
  test('f32 comes back bit for bit; uint8 takes a byte an element and a table of 1024', () => {
    const values = normalVector(315);
    expect(expectInput(decompress(compress(values, 'none'), 'none', 315))).toEqual(values);
    expect(compress(values, 'none').byteLength).toBe(compressedBytes(315, 'none'));
    expect(compress(values, 'uint8').byteLength).toBe(1024 + 315);
  });

  test('wrong lengths, NaN and infinity are refused in one line', () => {
    const values = normalVector(9);
    expect(refusal(compress(values, 'none'), 'none', 8)).toBe('contribution: 36 bytes, 8 parameters as none are 32');
    expect(refusal(compress(values, 'none'), 'uint8', 9)).toMatch(/^contribution: 36 bytes/);
    expect(refusal(viewBytes(Float32Array.of(1, NaN)), 'none', 2)).toBe(
      'contribution: element 1 is NaN, not a finite number',
    );
    expect(refusal(viewBytes(Float32Array.of(-Infinity)), 'none', 1)).toMatch(/element 0 is -Infinity/);
    const poisoned = compress(values, 'uint8');
    new DataView(poisoned.buffer).setFloat32(4 * (poisoned[1024] ?? 0), NaN, true);
    expect(refusal(poisoned, 'uint8', 9)).toBe('contribution: element 0 is NaN, not a finite number');
  });
});
