/**
 * What repeated sampling reaches: coverage, the share of problems of which at least one of k samples is right (pass@k),
 * estimated from n samples of each without bias; its standard error over problems; and the curve exp(a k^b) through it.
 * Which sample is right, and which one is chosen, is said elsewhere (`selection.ts`).
 */

import { assert } from '../core/assert.ts';

/**
 * The unbiased estimate of the chance that one of `k` samples is right, where `correct` of `samples` were: 1 - C(n-c, k) /
 * C(n, k), as a product that neither overflows nor cancels (Chen et al. 2021, arXiv 2107.03374, section 2.1).
 */
export function passAtK(samples: number, correct: number, k: number): number {
  assert(
    [samples, correct, k].every(Number.isInteger) && correct >= 0 && correct <= samples && k >= 1 && k <= samples,
    `pass@${k} of ${correct} right among ${samples}`,
  );
  if (samples - correct < k) return 1;
  // Of as many factors as there are right samples, or as are drawn: the quotient is the same from either side.
  const [few, many] = correct < k ? [correct, k] : [k, correct];
  let missed = 1;
  for (let factor = samples - few + 1; factor <= samples; factor++) missed *= 1 - many / factor;
  return 1 - missed;
}

/** How many samples of a problem were drawn, and how many of them are right. */
export interface Graded {
  readonly samples: number;
  readonly correct: number;
}

export interface CoveragePoint {
  readonly k: number;
  /** Mean over problems, 0 to 1. */
  readonly coverage: number;
  /** Of that mean, were the problems drawn anew; 0 for a single problem, which says nothing about others. */
  readonly standardError: number;
}

/** Coverage with k samples of every problem; each must have at least k. */
export function coverageAt(problems: readonly Graded[], k: number): CoveragePoint {
  const { mean, standardError } = meanAndError(problems.map(({ samples, correct }) => passAtK(samples, correct, k)));
  return { k, coverage: mean, standardError };
}

/** The mean of some numbers and its standard error, from their sample variance. */
export function meanAndError(values: readonly number[]): { mean: number; standardError: number } {
  assert(values.length > 0, 'the mean of no numbers');
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  const variance = values.length > 1 ? squares / (values.length - 1) : 0;
  return { mean, standardError: Math.sqrt(variance / values.length) };
}

/** 1, 2, 4, ... and at last as many as the problem with the fewest samples has. */
export function coverageCurve(problems: readonly Graded[]): CoveragePoint[] {
  const most = Math.min(...problems.map(({ samples }) => samples));
  return powersUpTo(most).map((k) => coverageAt(problems, k));
}

/** 1, 2, 4, ... below `most`, and `most` itself. */
export function powersUpTo(most: number): number[] {
  const powers: number[] = [];
  for (let k = 1; k < most; k *= 2) powers.push(k);
  return [...powers, most];
}

/** coverage ~ exp(a k^b); where more samples help, both are negative. */
export interface CoverageFit {
  readonly a: number;
  readonly b: number;
}

/**
 * The curve of Brown et al. 2024 (arXiv 2407.21787): log(-log coverage) is a line in log k, fitted by least squares to the
 * points that lie strictly between 0 and 1; undefined where fewer than two of them do.
 */
export function fitCoverage(points: readonly CoveragePoint[]): CoverageFit | undefined {
  const inside = points.filter(({ coverage }) => coverage > 0 && coverage < 1);
  if (inside.length < 2) return undefined;
  const xs = inside.map(({ k }) => Math.log(k));
  const ys = inside.map(({ coverage }) => Math.log(-Math.log(coverage)));
  const [x0, y0] = [meanAndError(xs).mean, meanAndError(ys).mean];
  const spread = xs.reduce((sum, x) => sum + (x - x0) ** 2, 0);
  if (spread === 0) return undefined;
  const b = xs.reduce((sum, x, index) => sum + (x - x0) * ((ys[index] ?? 0) - y0), 0) / spread;
  return { a: -Math.exp(y0 - b * x0), b };
}

export const fittedCoverage = ({ a, b }: CoverageFit, k: number): number => Math.exp(a * k ** b);

/**
 * The share of samples that are the first of their kind. Samples whose draws are not independent, such as those of two tabs
 * that drew the same numbers, come in copies and push it down, and with it the coverage.
 */
export const distinctShare = (texts: readonly string[]): number =>
  texts.length === 0 ? 1 : new Set(texts).size / texts.length;
