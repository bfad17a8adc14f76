/** The referee's functions against f64 truths and the platform's own, and its bits against constants. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { exactExp, exactLog, exactTanh, integerRoot, roundHalfAway, scaled } from './exact-arithmetic.ts';
import { matmulTruth } from './matmul.ts';
import { refereeDigest, refereeDigestExpected } from './referee-digest.ts';
import { refereeCrossEntropy, refereeMatmul, refereeRmsNorm, refereeSoftmax } from './referee.ts';
import { normals, toF64 } from './test-case.ts';

const seed = 5;
const vector = (count: number, stream = 0): Float32Array<ArrayBuffer> =>
  new Float32Array(normals(createRandom(seed, stream), count));
const apart = (got: ArrayLike<number>, want: ArrayLike<number>): number =>
  Array.from(want).reduce((most, value, index) => Math.max(most, Math.abs((got[index] ?? NaN) - value)), 0);

test('exp, log and tanh are within a few units in the last place of the platform’s', () => {
  for (let step = -1000; step <= 1000; step++) {
    const x = step * 0.3517;
    expect(Math.abs(exactExp(x) / Math.exp(x) - 1)).toBeLessThan(1e-15 * 8);
    expect(Math.abs(exactTanh(x) - Math.tanh(x))).toBeLessThan(4e-15);
    const positive = Math.exp(x / 2);
    expect(Math.abs(exactLog(positive) - Math.log(positive))).toBeLessThan(1e-15 * Math.max(1, Math.abs(x)) * 4);
  }
  expect([exactExp(-Infinity), exactExp(0), exactExp(Infinity), exactExp(NaN)]).toEqual([0, 1, Infinity, NaN]);
  expect([exactLog(0), exactLog(1), exactLog(Infinity), exactLog(-1)]).toEqual([-Infinity, 0, Infinity, NaN]);
});

test('whole-number arithmetic rounds as it says', () => {
  expect([5, -5, 6, -6, 7].map((value) => roundHalfAway(value, 4))).toEqual([1, -1, 2, -2, 2]);
  expect([3, -3, 1, -1].map((value) => scaled(value * 65536, { multiplier: 1, shift: 17 }))).toEqual([2, -1, 1, 0]);
  for (const x of [0, 1, 2, 3, 4, 15, 16, 17, 2 ** 32 - 1, 65535 ** 2, 65535 ** 2 - 1]) {
    const root = integerRoot(x);
    expect(root * root <= x && (root + 1) ** 2 > x).toBe(true);
  }
});

test('the operations agree with f64 within f32 rounding', () => {
  const sizes = { rows: 3, columns: 65, inner: 315 };
  const [left, right] = [vector(3 * 315, 1), vector(65 * 315, 2)];
  expect(apart(refereeMatmul(left, right, sizes), matmulTruth('NT', toF64(left), toF64(right), sizes))).toBeLessThan(
    1e-4,
  );
  const row = vector(97, 3);
  const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
  expect(
    apart(
      refereeSoftmax(row, 97),
      row.map((value) => Math.exp(value) / total),
    ),
  ).toBeLessThan(1e-7);
  const root = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / 97 + 1e-5);
  expect(
    apart(
      refereeRmsNorm(row, vector(97, 4), 1e-5),
      vector(97, 4).map((gain, index) => (gain * (row[index] ?? 0)) / root),
    ),
  ).toBeLessThan(1e-6);
  expect(refereeCrossEntropy(row, Uint32Array.of(9), 97)[0]).toBeCloseTo(Math.log(total) - (row[9] ?? 0), 5);
});

test('a chain of every operation has the bits that every engine must give', () => {
  expect(refereeDigest()).toBe(refereeDigestExpected);
});

test('one unit in the last place of one input changes those bits', () => {
  const oneUnitMore = (weights: Float32Array<ArrayBuffer>): void => {
    const bits = new Uint32Array(weights.buffer);
    bits[0] = (bits[0] ?? 0) + 1;
  };
  expect(refereeDigest(oneUnitMore)).not.toBe(refereeDigestExpected);
});
