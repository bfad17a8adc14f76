/** The measuring itself, on a clock that the test owns: medians, paired ratios, and warm-up rounds that do not count. */

import { expect, test } from 'vitest';
import { measure, median } from './measure.ts';

test('the median is the middle value, or the mean of the two', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('a contender that takes twice as long is half as fast in every round, however the machine drifts', async () => {
  let seconds = 0;
  let slowness = 1;
  const takes = (time: number) => () => {
    seconds += time * slowness;
    return 100;
  };
  const peer = (): number => {
    const done = takes(2)();
    slowness *= 3;
    return done;
  };
  const contenders = [
    { name: 'ours', run: takes(1) },
    { name: 'peer 1.0', run: peer },
  ] as const;
  const report = await measure({ name: 'case', unit: 'MB/s', scale: 1, contenders }, 5, () => seconds);
  expect(report.ratio).toBeCloseTo(2, 9);
  expect(report.peers['peer 1.0']).toBeLessThan(report.ours);
});

test('without a peer there is no ratio', async () => {
  let seconds = 0;
  const run = (): number => {
    seconds += 1;
    return 8e6;
  };
  const report = await measure(
    { name: 'case', unit: 'MB/s', scale: 1e6, contenders: [{ name: 'ours', run }] },
    3,
    () => seconds,
  );
  expect(report).toEqual({ name: 'case', unit: 'MB/s', ours: 8, peers: {}, ratio: null });
});
