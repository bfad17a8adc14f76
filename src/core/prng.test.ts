import { describe, expect, test } from 'vitest';
import { createRandom, philox, u32ToUnit, type PhiloxCounter, type PhiloxKey } from './prng.ts';

const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('philox', () => {
  const ones = 0xffffffff;
  /** Known answers of philox4x32-10 as published with Random123. */
  const known: readonly (readonly [PhiloxCounter, PhiloxKey, string])[] = [
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[ones, ones, ones, ones], [ones, ones], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ];
  test.each(known)('gives the published answer for counter %j and key %j', (counter, key, answer) => {
    expect(hex(philox(counter, key))).toBe(answer);
  });

  test('changes all four words when one bit of counter or key changes', () => {
    const base = philox([1, 2, 3, 4], [5, 6]);
    for (const other of [philox([0, 2, 3, 4], [5, 6]), philox([1, 2, 3, 4], [5, 7])]) {
      for (const [index, word] of other.entries()) expect(word).not.toBe(base[index]);
    }
  });
});

describe('a random sequence', () => {
  test('is the same for the same seed, and another for another seed or stream', () => {
    const draw = (seed: number, stream?: number): number[] => {
      const random = createRandom(seed, stream);
      return Array.from({ length: 9 }, () => random.u32());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(7)).not.toEqual(draw(7, 1));
    expect(draw(7)).not.toEqual(draw(7 + 2 ** 32));
  });

  test('is uniform and normal where it says so (seed 1, 40,000 draws)', () => {
    const random = createRandom(1);
    const count = 40_000;
    let least = 1;
    let most = 0;
    let sum = 0;
    let normalSum = 0;
    let squares = 0;
    const faces = [0, 0, 0, 0, 0, 0];
    for (let draw = 0; draw < count; draw++) {
      const value = random.next();
      least = Math.min(least, value);
      most = Math.max(most, value);
      sum += value;
      const normal = random.normal();
      normalSum += normal;
      squares += normal * normal;
      const face = random.below(6);
      faces[face] = (faces[face] ?? 0) + 1;
    }
    expect(least).toBeGreaterThanOrEqual(0);
    expect(most).toBeLessThan(1);
    // Five standard errors each.
    expect(Math.abs(sum / count - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / count));
    expect(Math.abs(normalSum / count)).toBeLessThan(5 / Math.sqrt(count));
    expect(Math.abs(squares / count - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    expect(faces).toHaveLength(6);
    for (const face of faces) expect(Math.abs(face - count / 6)).toBeLessThan(5 * Math.sqrt(count / 6));
  });

  test('reaches neither 1 nor below 0 at the ends of u32', () => {
    expect(u32ToUnit(0)).toBe(0);
    expect(u32ToUnit(0xffffffff)).toBeLessThan(1);
  });
});
