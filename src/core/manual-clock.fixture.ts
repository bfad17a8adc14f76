/** For tests: a clock that stands until it is told to go, and that lets promises and queued turns settle on the way. */

import type { Clock } from './clock.ts';

export interface ManualClock extends Clock {
  /** Lets `ms` pass, timer after timer; after each, whatever it set going has its turns before time goes on. */
  run(ms: number): Promise<void>;
}

export function createManualClock(start = 1_000_000): ManualClock {
  let now = start;
  let timers: { readonly at: number; readonly call: () => void }[] = [];
  /** Links in memory and WebCrypto take turns of the event loop. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 6; turn++) await new Promise<void>((resolve) => void setTimeout(resolve, 0));
  };
  return {
    now: () => now,
    after(ms, call) {
      const timer = { at: now + ms, call };
      timers.push(timer);
      return () => void (timers = timers.filter((other) => other !== timer));
    },
    async run(ms) {
      const end = now + ms;
      for (;;) {
        await settle();
        const [due] = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
        if (due === undefined) break;
        timers = timers.filter((timer) => timer !== due);
        now = Math.max(now, due.at);
        due.call();
      }
      now = end;
    },
  };
}
