import { expect, test } from 'vitest';
import { byKernel, shownInTurns } from './inspection.ts';
import type { CaseReport } from './self-test.ts';
import type { Family } from './variants.ts';

const report = (kernel: string, title: string, problem?: string): CaseReport => ({
  kernel,
  title,
  passed: problem === undefined,
  errorMax: 0,
  ofTolerance: 0,
  ...(problem === undefined ? {} : { problem }),
});

test('checks are gathered by kernel, in their order, with the first problem of each', () => {
  const cases = [
    report('a', '1 x 1'),
    report('b', '3 x 3', 'is NaN'),
    report('a', '65 x 3'),
    report('b', '97', 'is 0'),
  ];
  expect(byKernel(cases)).toEqual([
    { kernel: 'a', passed: 2, failed: 0 },
    { kernel: 'b', passed: 0, failed: 2, problem: '3 x 3: is NaN' },
  ]);
});

test('every family shows its first bucket before any shows its second', () => {
  const family = (name: string, shown: readonly string[]): Family => ({
    name,
    shown,
    variants: [{ name: 'plain', features: [] }],
    bound: 'bytes',
    trial: () => {
      throw new Error('nothing is run here');
    },
  });
  const shown = shownInTurns([family('a', ['a1', 'a2', 'a3']), family('b', ['b1']), family('c', ['c1', 'c2'])]);
  expect(shown.map(({ bucket }) => bucket)).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  expect(shownInTurns([])).toEqual([]);
});
