/**
 * Makes a browser look whether the GPU is done. Firefox looks every 100 ms only (measured: a small unit with its
 * three reads takes 300 ms, and 10 with this), and besides whenever anything is submitted. So while somebody waits, submits of
 * nothing ask it to look; without them every token, and every submit that the pacer times, would seem to take 100 ms.
 */

import type { Clock } from '../../core/clock.ts';

/** Browsers clamp repeated timers to 4 ms. */
const askEveryMs = 4;

/** By so much times may be too long where the browser must be asked: a timer, and a clock that shows whole milliseconds. */
export const askedGrainMs = askEveryMs + 1;

export interface Prompt {
  /** The promise itself; until it settles, as it must, the browser is asked to look. */
  during<T>(waited: Promise<T>): Promise<T>;
}

/** For browsers that look by themselves. */
export const noPrompt: Prompt = { during: (waited) => waited };

/** `ask` submits nothing; it is called until nobody waits any more. */
export function createPrompt(ask: () => void, clock: Clock): Prompt {
  let waiting = 0;
  let isScheduled = false;
  const askLater = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    clock.after(askEveryMs, () => {
      isScheduled = false;
      if (waiting === 0) return;
      ask();
      askLater();
    });
  };
  return {
    during(waited) {
      waiting += 1;
      askLater();
      const settled = (): void => {
        waiting -= 1;
      };
      waited.then(settled, settled);
      return waited;
    },
  };
}
