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
  const report = await measure(
    { name: 'case', unit: 'MB/s', better: 'higher', scale: 1, contenders },
    5,
    () => seconds,
  );
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
    { name: 'case', unit: 'MB/s', better: 'higher', scale: 1e6, contenders: [{ name: 'ours', run }] },
    3,
    () => seconds,
  );
  expect(report).toEqual({ name: 'case', unit: 'MB/s', ours: 8, peers: {}, ratio: null, ratios: [] });
});

test('of times the lower is better: a peer that takes twice as long gives the same ratio', async () => {
  let seconds = 0;
  const takes = (time: number) => () => {
    seconds += time;
    return 1;
  };
  const contenders = [
    { name: 'ours', run: takes(0.02) },
    { name: 'slow 1.0', run: takes(0.5) },
    { name: 'best 1.0', run: takes(0.04) },
  ] as const;
  const report = await measure(
    { name: 'case', unit: 'ms', better: 'lower', scale: 1e-3, contenders },
    5,
    () => seconds,
  );
  expect(report.ours).toBeCloseTo(20, 9);
  expect(report.peers['best 1.0']).toBeCloseTo(40, 9);
  expect(report.ratio).toBeCloseTo(2, 9);
});

test('a peer that fails is told with its reason, has no time, and leaves the ratio to the others', async () => {
  let seconds = 0;
  const takes = (time: number) => () => {
    seconds += time;
    return 1;
  };
  let runs = 0;
  const failing = (): number => {
    runs++;
    if (runs > 4) throw new Error('out of memory');
    return takes(0.001)();
  };
  const contenders = [
    { name: 'ours', run: takes(0.02) },
    { name: 'failing 1.0', run: failing },
    { name: 'sound 1.0', run: takes(0.03) },
  ] as const;
  const report = await measure(
    { name: 'case', unit: 'ms', better: 'lower', scale: 1e-3, contenders },
    5,
    () => seconds,
  );
  expect(report.wrong).toEqual({ 'failing 1.0': 'out of memory' });
  expect(Object.keys(report.peers)).toEqual(['sound 1.0']);
  expect(report.ratio).toBeCloseTo(1.5, 9);
});

test('what ours throws ends the measurement', async () => {
  const run = (): never => {
    throw new Error('ours failed');
  };
  const contenders = [{ name: 'ours', run }] as const;
  const measured = measure({ name: 'case', unit: 'ms', better: 'lower', scale: 1e-3, contenders }, 5, () => 0);
  await expect(measured).rejects.toThrow('ours failed');
});

test('a peer far slower than the best one is timed in two rounds and leaves the ratio as it is', async () => {
  let seconds = 0;
  let slowRuns = 0;
  const takes = (time: number) => () => {
    seconds += time;
    return 1;
  };
  const slow = (): number => {
    slowRuns++;
    return takes(10)();
  };
  const contenders = [
    { name: 'ours', run: takes(1) },
    { name: 'slow 1.0', run: slow },
    { name: 'best 1.0', run: takes(2) },
  ] as const;
  const report = await measure(
    { name: 'case', unit: 'ms', better: 'lower', scale: 1e-3, contenders },
    7,
    () => seconds,
  );
  expect(slowRuns, 'two warm-ups and two rounds').toBe(4);
  expect(report.peers['slow 1.0']).toBeCloseTo(10_000, 6);
  expect(report.ratios).toHaveLength(7);
  expect(report.ratio).toBeCloseTo(2, 9);
});
