/** The platform's time: milliseconds since 1970 that never go back while the process runs, and its timers. */

import type { Clock } from '../../core/clock.ts';

export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
