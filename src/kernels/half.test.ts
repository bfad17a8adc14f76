/** Halves: every bit pattern survives, and rounding is to the nearest even. */

import { expect, test } from 'vitest';
import { halfBits, halfValue, packHalves, unpackHalves } from './half.ts';

test('every half that is a number comes back from its value with the same bits', () => {
  const wrong: number[] = [];
  for (let bits = 0; bits < 65536; bits++) {
    const value = halfValue(bits);
    if (!Number.isNaN(value) && halfBits(value) !== bits) wrong.push(bits);
  }
  expect(wrong).toEqual([]);
  expect(halfBits(NaN) & 0x7fff).toBeGreaterThan(0x7c00);
});

test.each([
  ['halfway between two halves the even one is taken, below', 1 + 2 ** -11, 0x3c00],
  ['and above', 1 + 3 * 2 ** -11, 0x3c02],
  ['a little more than halfway goes up', 1 + 2 ** -11 + 2 ** -20, 0x3c01],
  ['65520 is infinity', 65520, 0x7c00],
  ['what is a little smaller is 65504', 65519, 0x7bff],
  ['half of the smallest half is zero', 2 ** -25, 0],
  ['and more than that is the smallest', 2 ** -25 + 2 ** -40, 1],
])('%s', (_, value, bits) => {
  expect(halfBits(value)).toBe(bits);
  expect(halfBits(-value)).toBe(bits | 0x8000);
});

test('an odd count of halves is packed with a zero and unpacked without it', () => {
  const words = packHalves([1, -2, 0.5]);
  expect([...words]).toEqual([0xc0003c00, 0x3800]);
  expect([...unpackHalves(words, 3)]).toEqual([1, -2, 0.5]);
});
