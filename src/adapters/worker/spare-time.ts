/**
 * When a compute worker may do what nobody waits for, as tuning: while no unit is there, and between two units as long as
 * that stays a small share of what units took. Each slice is so short that a unit that comes meanwhile hardly waits.
 * After a pause nothing happens until the next unit.
 */

import type { Clock } from '../../core/clock.ts';

/** GPU time of one slice. */
export const sliceMs = 50;
/** Between units that come without a break, slices take at most this part of the time. */
export const busyShare = 0.1;

export interface SpareTime {
  /** A unit was handed in, and one has ended. */
  begin(): void;
  end(): void;
  rest(): void;
}

/** `work` does a slice when its turn comes and says whether there is more. */
export function createSpareTime(clock: Clock, work: (gpuMsMax: number) => Promise<boolean>): SpareTime {
  let units = 0;
  let since = 0;
  let earnedMs = 0;
  let isResting = false;
  let isWorking = false;

  const mayWork = (): boolean => !isResting && (units === 0 || earnedMs >= sliceMs);
  const go = async (): Promise<void> => {
    if (isWorking) return;
    isWorking = true;
    try {
      while (mayWork()) {
        if (units > 0) earnedMs -= sliceMs;
        if (!(await work(sliceMs))) break;
      }
    } finally {
      isWorking = false;
    }
  };
  return {
    begin() {
      isResting = false;
      if (units++ === 0) since = clock.now();
    },
    end() {
      units--;
      const now = clock.now();
      earnedMs = Math.min(sliceMs, earnedMs + busyShare * (now - since));
      since = now;
      // A device that is lost is told to the next unit.
      go().catch(() => undefined);
    },
    rest() {
      isResting = true;
    },
  };
}
