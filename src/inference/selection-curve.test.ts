/** Selections over k: what a perfect verifier finds is all that there is, and votes never find more. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { coverageAt } from './coverage.ts';
import { seedOfProblem } from './sampling.ts';
import { selectionCurve, type GradedSample } from './selection-curve.ts';

/** Samples whose right answer is '7', each problem with a chance of its own, and wrong answers of which one is liked. */
function makeProblems(seed: number, samples: number): GradedSample[][] {
  const random = createRandom(seed);
  return Array.from({ length: 60 }, () => {
    const chance = random.next() ** 3;
    return Array.from({ length: samples }, () => {
      const correct = random.next() < chance;
      const answer = correct ? '7' : random.next() < 0.4 ? '8' : String(random.below(7));
      return { answer, correct, logprob: -random.next() * 5, tokens: 2, score: correct ? 1 : 0 };
    });
  });
}

test('a perfect verifier is right as often as any sample is, a vote is right less often (seed 4)', () => {
  const problems = makeProblems(4, 64);
  const graded = problems.map((samples) => ({
    samples: samples.length,
    correct: samples.filter(({ correct }) => correct).length,
  }));
  const [verifier, majority] = [selectionCurve('verifier', problems), selectionCurve('majority', problems)];
  expect(verifier.map(({ k }) => k)).toEqual([1, 2, 4, 8, 16, 32, 64]);
  for (const [index, { k, accuracy, standardError }] of verifier.entries()) {
    const { coverage } = coverageAt(graded, k);
    // Groups that follow each other are some of all groups, which coverage speaks of.
    expect(Math.abs(accuracy - coverage), `k ${k}`).toBeLessThan(standardError + 1e-9);
    expect(majority[index]?.accuracy, `k ${k}`).toBeLessThanOrEqual(accuracy);
  }
  expect(verifier.at(-1)?.accuracy).toBe(coverageAt(graded, 64).coverage);
  expect(majority[0]?.accuracy).toBe(verifier[0]?.accuracy);
  expect(verifier[0]?.accuracy).toBeCloseTo(coverageAt(graded, 1).coverage, 12);
  expect(majority.at(-1)?.accuracy).toBeLessThan((verifier.at(-1)?.accuracy ?? 0) - 0.2);
});

test('every problem, and every part of one, has a seed of its own that a manifest can hold', () => {
  const seeds = [0, 1, 2 ** 40].flatMap((seed) =>
    Array.from({ length: 300 }, (_, index) => [seedOfProblem(seed, index), seedOfProblem(seed, index, 1)]).flat(),
  );
  expect(new Set(seeds).size).toBe(seeds.length);
  expect(seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0)).toBe(true);
});
