import { expect, test } from 'vitest';
import { busyShare, createSpareTime, sliceMs } from './spare-time.ts';

/** Slices that were done, in a world whose time the test moves; each takes as long as it may. */
function world(slicesToDo: number) {
  const done: number[] = [];
  let now = 0;
  const clock = { now: () => now, after: () => () => undefined };
  const spare = createSpareTime(clock, async (gpuMsMax) => {
    now += gpuMsMax;
    done.push(now);
    return done.length < slicesToDo;
  });
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const pass = (ms: number): void => {
    now += ms;
  };
  return { spare, done, settled, pass };
}

test('works through everything once no unit is there', async () => {
  const { spare, done, settled } = world(5);
  await settled();
  expect(done).toHaveLength(0);
  spare.begin();
  await settled();
  expect(done).toHaveLength(0);
  spare.end();
  await settled();
  expect(done).toHaveLength(5);
});

test('between units without a break it takes a small share of their time, and never without an earned slice', async () => {
  const { spare, done, settled, pass } = world(1000);
  const units = 100;
  spare.begin();
  for (let unit = 0; unit < units; unit++) {
    pass(100);
    spare.begin();
    spare.end();
    await settled();
  }
  const expected = (units * 100 * busyShare) / sliceMs;
  expect(done.length).toBeGreaterThan(expected / 2);
  expect(done.length).toBeLessThanOrEqual(expected);
});

test('after a pause nothing happens until the next unit has ended', async () => {
  const { spare, done, settled } = world(5);
  spare.begin();
  spare.rest();
  spare.end();
  await settled();
  expect(done).toHaveLength(0);
  spare.begin();
  spare.end();
  await settled();
  expect(done).toHaveLength(5);
});

test('work that fails ends that round only', async () => {
  let calls = 0;
  const spare = createSpareTime({ now: () => 0, after: () => () => undefined }, async () => {
    calls++;
    throw new Error('lost');
  });
  for (let unit = 0; unit < 2; unit++) {
    spare.begin();
    spare.end();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(calls).toBe(2);
});
