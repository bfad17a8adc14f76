/** What the pacer is told of submits, whose time the tuner and the duty cycle count on. */

import { expect, test } from 'vitest';
import type { Clock } from '../../core/clock.ts';
import { createPacer } from './pacer.ts';
import { createSubmitter } from './submitter.ts';

/** A GPU that computes within the call of submit, as software adapters may, and one that computes afterwards. */
function submitterOf(ms: { readonly during: number; readonly after: number }) {
  let now = 1000;
  const clock: Clock = { now: () => now, after: () => () => undefined };
  const pacer = createPacer();
  let isFull = true;
  const batch = {
    isEmpty: () => !isFull,
    submit() {
      isFull = false;
      now += ms.during;
      return new Map();
    },
  };
  const workDone = async (): Promise<void> => {
    now += ms.after;
  };
  const life = { during: async <T>(work: Promise<T>): Promise<T> => work, assertAlive: () => undefined };
  return { pacer, submitter: createSubmitter(workDone, batch, pacer, life, clock) };
}

test.each([
  { during: 40, after: 0 },
  { during: 0, after: 40 },
  { during: 15, after: 25 },
])('the GPU was busy for what it computed during and after the call of submit: $during and $after ms', async (ms) => {
  const { pacer, submitter } = submitterOf(ms);
  await submitter.submit();
  await submitter.done();
  expect(pacer.busyMs).toBe(40);
});

test('nothing to submit takes no time', async () => {
  const { pacer, submitter } = submitterOf({ during: 40, after: 40 });
  await submitter.submit();
  await submitter.submit();
  await submitter.done();
  expect(pacer.busyMs).toBe(80);
});
