/** Activations on the wire come back as they were, as nearly as their format can say them; wrong sizes are refused. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { activationBytes, decodeActivations, encodeActivations } from './activations.ts';

const width = 37;
const rows = 3;
const random = createRandom(11);
const values = Float32Array.from({ length: rows * width }, () => 3 * random.normal());

test('f32 comes back bit for bit', () => {
  const bytes = encodeActivations('f32', values, width);
  expect(bytes.byteLength).toBe(rows * activationBytes('f32', width));
  expect(decodeActivations('f32', bytes, rows, width)).toEqual(values);
});

test('f16 comes back within half a unit in its last place', () => {
  const back = decodeActivations('f16', encodeActivations('f16', values, width), rows, width);
  for (const [index, value] of values.entries()) {
    expect(Math.abs((back?.[index] ?? Number.NaN) - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -11 + 2 ** -25);
  }
});

test('int8 comes back within half a step of its block, and costs 36 bytes a block of 32', () => {
  const bytes = encodeActivations('int8', values, width);
  expect(bytes.byteLength).toBe(rows * 2 * 36);
  const back = decodeActivations('int8', bytes, rows, width);
  for (const [index, value] of values.entries()) {
    const row = Math.floor(index / width);
    const first = row * width + Math.floor((index % width) / 32) * 32;
    const own = values.subarray(first, Math.min(first + 32, (row + 1) * width));
    const step = Math.max(...own.map(Math.abs)) / 127;
    expect(Math.abs((back?.[index] ?? Number.NaN) - value)).toBeLessThanOrEqual(step * 0.501);
  }
  const zeros = encodeActivations('int8', new Float32Array(width), width);
  expect(decodeActivations('int8', zeros, 1, width)).toEqual(new Float32Array(width));
});

test.each(['f32', 'f16', 'int8'] as const)('%s of another number of rows is refused', (format) => {
  const bytes = encodeActivations(format, values, width);
  expect(decodeActivations(format, bytes, rows + 1, width)).toBeUndefined();
  expect(decodeActivations(format, bytes.subarray(1), rows, width)).toBeUndefined();
});
