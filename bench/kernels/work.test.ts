/** The race between libraries, on contenders made for it and a clock that the test owns: who is wrong or idle does not win. */

import { describe, expect, test } from 'vitest';
import type { Problem } from './problem.ts';
import { race, type Library, type Work } from './work.ts';

/** [1, 2; 3, 4] x [5, 6; 7, 8]. */
const problem: Problem = {
  name: 'matmul2',
  unit: 'ms',
  better: 'lower',
  scale: 1e-3,
  work: 1,
  bound: { of: 'flops', amount: 16 },
  operation: {
    kind: 'matmul',
    rows: 2,
    columns: 2,
    inner: 2,
    left: Float32Array.of(1, 2, 3, 4),
    right: Float32Array.of(5, 6, 7, 8),
  },
  tolerance: { absolute: 1e-6, relative: 0, reason: 'small whole numbers' },
};
const product = [19, 22, 43, 50];

/** A clock that only computing moves. */
function stage() {
  let seconds = 0;
  const library = (name: string, work: (spend: (time: number) => void) => Omit<Work, 'close'>): Library => ({
    name,
    prepare: async () => ({ ...work((time) => (seconds += time)), close: () => undefined }),
  });
  /** Computes when it is started. */
  const eager = (name: string, time: number, output: readonly number[] = product): Library =>
    library(name, (spend) => ({
      start: () => spend(time),
      peek: async () => output[0] ?? NaN,
      read: async () => Float32Array.from(output),
    }));
  return { library, eager, now: () => seconds };
}

describe('the race', () => {
  test('a library twice as slow gives a ratio of two', async () => {
    const { eager, now } = stage();
    const report = await race(problem, [eager('ours', 0.01), eager('peer 1.0', 0.02)], { rounds: 5, now });
    expect(report.ratio).toBeCloseTo(2, 9);
    expect(report.wrong).toBeUndefined();
  });

  test('a library that returns wrong numbers is told as wrong and has no time, however fast it is', async () => {
    const { eager, now } = stage();
    const wrong = eager('wrong 1.0', 1e-6, [19, 22, 43, 51]);
    const report = await race(problem, [eager('ours', 0.01), wrong, eager('sound 1.0', 0.03)], { rounds: 5, now });
    expect(report.wrong).toEqual({ 'wrong 1.0': 'element 3 is 51, and the truth is 50' });
    expect(Object.keys(report.peers)).toEqual(['sound 1.0']);
    expect(report.ratio).toBeCloseTo(3, 9);
  });

  test('a library that is lazy does its work within its time', async () => {
    const { library, eager, now } = stage();
    const lazy = library('lazy 1.0', (spend) => {
      let pending = false;
      const done = (): void => {
        if (pending) spend(0.04);
        pending = false;
      };
      return {
        start: () => {
          pending = true;
        },
        peek: async () => {
          done();
          return 19;
        },
        read: async () => {
          done();
          return Float32Array.from(product);
        },
      };
    });
    const report = await race(problem, [eager('ours', 0.01), lazy], { rounds: 5, now });
    expect(report.ratio).toBeCloseTo(4, 9);
  });

  test('a library that never computes again shows a spoiled element and is out', async () => {
    const { library, eager, now } = stage();
    const idle = library('idle 1.0', () => {
      let looked = false;
      return {
        start: () => undefined,
        // As `peek.ts` does it: the element is spoiled by the look.
        peek: async () => {
          const seen = looked ? NaN : 19;
          looked = true;
          return seen;
        },
        read: async () => Float32Array.from(product),
      };
    });
    const report = await race(problem, [eager('ours', 0.01), idle], { rounds: 5, now });
    expect(report.wrong).toEqual({ 'idle 1.0': 'element 0 is NaN, and its own first result is 19' });
    expect(report.ratio).toBeNull();
  });

  test('what a library cannot do it is not raced at', async () => {
    const { eager, now } = stage();
    const unable: Library = { name: 'unable 1.0', prepare: async () => undefined };
    const report = await race(problem, [eager('ours', 0.01), unable, eager('peer 1.0', 0.01)], { rounds: 5, now });
    expect(Object.keys(report.peers)).toEqual(['peer 1.0']);
    expect(report.wrong).toBeUndefined();
  });

  test('wrong numbers of ours end the case', async () => {
    const { eager, now } = stage();
    await expect(race(problem, [eager('ours', 0.01, [0, 0, 0, 0])], { rounds: 5, now })).rejects.toThrow(
      'element 0 is 0',
    );
  });
});
