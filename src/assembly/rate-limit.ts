/** Holds back tasks that send bytes: one after another, and on average no faster than a rate. Who sends what is the caller's. */

import type { Clock } from '../core/clock.ts';

export interface RateLimit {
  /** Runs the task in its turn; it resolves with the bytes that it sent, which those behind it wait for. */
  run(task: () => Promise<number>): Promise<void>;
}

/** `bytesPerSecond` above 0; without a limit where it is Infinity: then tasks do not wait for each other either. */
export function createRateLimit(clock: Clock, bytesPerSecond: number): RateLimit {
  if (bytesPerSecond === Infinity) return { run: async (task) => void (await task()) };
  let last: Promise<void> = Promise.resolve();
  /** When what was sent so far has left at the rate. */
  let paidAt = clock.now();
  const until = (time: number): Promise<void> =>
    new Promise((resolve) => void clock.after(Math.max(0, time - clock.now()), resolve));
  return {
    run: (task) => {
      const turn = last.then(async () => {
        if (paidAt > clock.now()) await until(paidAt);
        const start = clock.now();
        const bytes = await task();
        paidAt = Math.max(paidAt, start) + (bytes / bytesPerSecond) * 1000;
      });
      last = turn.catch(() => {});
      return turn;
    },
  };
}
