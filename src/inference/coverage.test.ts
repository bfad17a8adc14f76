/** The estimator of coverage against exact arithmetic, against known chances, and against what a wrong one would say. */

import { describe, expect, test } from 'vitest';
import { createRandom, type Random } from '../core/prng.ts';
import {
  coverageAt,
  coverageCurve,
  distinctShare,
  fitCoverage,
  fittedCoverage,
  passAtK,
  powersUpTo,
} from './coverage.ts';
import { sampleToken } from './sampling.ts';

/** C(n, k), exactly. */
function choose(n: number, k: number): bigint {
  let value = 1n;
  for (let i = 0; i < k; i++) value = (value * BigInt(n - i)) / BigInt(i + 1);
  return value;
}

describe('pass@k', () => {
  test.each([
    [10, 3, 1, 0.3],
    [10, 3, 5, 0.9166666667],
    [100, 1, 10, 0.1],
    [100, 1, 100, 1],
    [10_000, 3, 1000, 0.2710243039],
    [20, 0, 5, 0],
  ])('of %i samples with %i right, k = %i, is %f', (samples, correct, k, expected) => {
    expect(Math.abs(passAtK(samples, correct, k) - expected)).toBeLessThan(1e-10);
  });

  test('is 1 - C(n-c, k) / C(n, k) in exact arithmetic for all n up to 30', () => {
    for (let n = 1; n <= 30; n++) {
      for (let c = 0; c <= n; c++) {
        for (let k = 1; k <= n; k++) {
          const all = choose(n, k);
          const hit = all - (k <= n - c ? choose(n - c, k) : 0n);
          // 15 digits of the quotient without a rounding on the way.
          const exact = Number((hit * 10n ** 15n) / all) / 1e15;
          expect(Math.abs(passAtK(n, c, k) - exact), `n ${n}, c ${c}, k ${k}`).toBeLessThan(1e-12);
        }
      }
    }
  });

  test('is not the plain 1 - (1 - c/n)^k, which is too low', () => {
    expect(1 - (1 - 3 / 10) ** 5).toBeCloseTo(0.83193, 5);
    expect(passAtK(10, 3, 5) - (1 - (1 - 3 / 10) ** 5)).toBeGreaterThan(0.08);
  });

  test('more right than drawn, none drawn and more asked than drawn are mistakes', () => {
    for (const [n, c, k] of [
      [5, 6, 1],
      [5, 1, 0],
      [5, 1, 6],
      [5, -1, 1],
      [5, 0.5, 1],
    ] as const) {
      expect(() => passAtK(n, c, k)).toThrow('pass@');
    }
  });
});

describe('coverage', () => {
  test('lies within three standard errors of what known chances give, for k up to 256 of 512 samples (seed 11)', () => {
    const random = createRandom(11);
    const chances = Array.from({ length: 200 }, () => betaOf(random, random.next() < 0.5 ? [0.3, 3] : [0.5, 8]));
    const samples = 512;
    const problems = chances.map((p) => ({ samples, correct: count(samples, () => random.next() < p) }));
    for (const k of powersUpTo(256)) {
      const passes = chances.map((p) => 1 - (1 - p) ** k);
      const truth = passes.reduce((sum, x) => sum + x, 0) / passes.length;
      const { coverage, standardError } = coverageAt(problems, k);
      expect(standardError).toBeGreaterThan(0);
      expect(Math.abs(coverage - truth), `k ${k}`).toBeLessThan(3 * standardError);
    }
  });

  test('the error is that of a mean over problems, and a single problem has none', () => {
    const { coverage, standardError } = coverageAt(
      [
        { samples: 4, correct: 4 },
        { samples: 4, correct: 0 },
        { samples: 4, correct: 2 },
        { samples: 4, correct: 2 },
      ],
      1,
    );
    expect(coverage).toBe(0.5);
    expect(standardError).toBeCloseTo(Math.sqrt(0.5 / 3 / 4), 12);
    expect(coverageAt([{ samples: 3, correct: 1 }], 1).standardError).toBe(0);
  });

  test('the curve goes as far as the problem with the fewest samples, and never down', () => {
    const curve = coverageCurve([
      { samples: 100, correct: 3 },
      { samples: 40, correct: 1 },
    ]);
    expect(curve.map(({ k }) => k)).toEqual([1, 2, 4, 8, 16, 32, 40]);
    for (const [index, { coverage }] of curve.slice(1).entries())
      expect(coverage).toBeGreaterThan(curve[index]?.coverage ?? 1);
    expect(powersUpTo(1)).toEqual([1]);
    expect(powersUpTo(8)).toEqual([1, 2, 4, 8]);
  });
});

describe('the fit', () => {
  const curve = (a: number, b: number) =>
    powersUpTo(1024).map((k) => ({ k, coverage: Math.exp(a * k ** b), standardError: 0 }));

  test('finds a and b of a curve that has them', () => {
    const fit = fitCoverage(curve(-2.5, -0.4));
    expect(fit?.a).toBeCloseTo(-2.5, 9);
    expect(fit?.b).toBeCloseTo(-0.4, 9);
    expect(fittedCoverage({ a: -2.5, b: -0.4 }, 16)).toBeCloseTo(Math.exp(-2.5 * 16 ** -0.4), 12);
  });

  test('leaves out points at 0 and 1, which have no logarithm, and needs two others', () => {
    const ends = [
      { k: 1, coverage: 0, standardError: 0 },
      { k: 2, coverage: 1, standardError: 0 },
    ];
    const fit = fitCoverage([...ends, ...curve(-1, -0.5).slice(2)]);
    expect(fit?.b).toBeCloseTo(-0.5, 9);
    expect(fitCoverage(ends)).toBeUndefined();
    expect(fitCoverage([...ends, ...curve(-1, -0.5).slice(0, 1)])).toBeUndefined();
  });
});

describe('samples of several tabs', () => {
  const logits = Array.from({ length: 32 }, (_, index) => Math.sin(index));
  const numbers = { temperature: 1, topK: 0, topP: 1, seed: 21 };
  /** A text of eight tokens, as any tab would draw it. */
  const draw = (sample: number): string =>
    Array.from({ length: 8 }, (_, position) => sampleToken(logits, numbers, sample, position).token).join();
  const perTab = 64;
  const tabs = [0, 1, 2, 3];

  test('are all different where each tab has numbers of its own (seed 21)', () => {
    const texts = tabs.flatMap((tab) => Array.from({ length: perTab }, (_, index) => draw(tab * perTab + index)));
    expect(distinctShare(texts)).toBeGreaterThan(0.99);
  });

  test('come in copies where all tabs draw the same numbers, which the distinct share shows', () => {
    const texts = tabs.flatMap(() => Array.from({ length: perTab }, (_, index) => draw(index)));
    expect(distinctShare(texts)).toBeLessThanOrEqual(0.25);
    expect(distinctShare([])).toBe(1);
  });
});

const count = (times: number, happens: () => boolean): number =>
  Array.from({ length: times }, happens).filter(Boolean).length;

/** Beta(a, b) by rejection from the uniform after Jöhnk: u^(1/a) / (u^(1/a) + v^(1/b)) where the sum is at most 1. */
function betaOf(random: Random, [a, b]: readonly [number, number]): number {
  for (;;) {
    const [x, y] = [random.next() ** (1 / a), random.next() ** (1 / b)];
    if (x + y > 0 && x + y <= 1) return x / (x + y);
  }
}
