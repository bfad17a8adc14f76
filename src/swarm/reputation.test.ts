import { describe, expect, it } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { backoffMs, judge, newStanding } from './reputation.ts';

describe('standing', () => {
  const after = (...results: boolean[]) => {
    const standing = newStanding();
    for (const agreed of results) judge(standing, agreed);
    return standing;
  };

  it('excludes a newcomer after two disagreements that outweigh its agreement', () => {
    expect(after(false).excluded).toBe(false);
    expect(after(false, false).excluded).toBe(true);
    expect(after(true, false, false).excluded).toBe(true);
  });

  it('forgives an honest volunteer that disagrees once in fifty, over ten thousand results and twenty seeds', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = createRandom(seed);
      const standing = newStanding();
      // The first results come from a device that agreed; a newcomer's early bad luck is the price of quick exclusion.
      for (let count = 0; count < 10; count++) judge(standing, true);
      for (let count = 0; count < 10_000; count++) judge(standing, random.next() >= 0.02);
      expect(standing.excluded, `seed ${seed}`).toBe(false);
    }
  });

  it('catches a liar that built up trust first, and one that lies in every third result', () => {
    const standing = after(...Array.from({ length: 1000 }, () => true));
    for (let count = 0; count < 6; count++) judge(standing, false);
    expect(standing.excluded).toBe(true);
    const third = newStanding();
    let judged = 0;
    while (!third.excluded && judged < 100) judge(third, ++judged % 3 !== 0);
    expect(judged).toBeLessThan(20);
  });
});

describe('back-off', () => {
  it('leaves the first two failures alone, then doubles up to a minute', () => {
    expect([0, 1, 2, 3, 4, 5, 20].map(backoffMs)).toEqual([0, 0, 0, 2_000, 4_000, 8_000, 60_000]);
  });
});
