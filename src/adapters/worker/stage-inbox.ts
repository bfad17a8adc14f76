/** What came for a running stage and was not taken yet. */

import type { StageChannel, StageReply, StageWord } from '../../programs/program.ts';

export interface StageInbox {
  tell(words: readonly StageWord[]): void;
  readonly channel: StageChannel;
}

/** The channel's `waiting` also ends with the signal. */
export function createStageInbox(signal: AbortSignal, say: (replies: readonly StageReply[]) => void): StageInbox {
  let words: StageWord[] = [];
  let wake = (): void => {};
  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    tell: (more) => {
      words.push(...more);
      wake();
    },
    channel: {
      take: () => {
        const taken = words;
        words = [];
        return taken;
      },
      waiting: () =>
        new Promise((resolve) => {
          wake = resolve;
          if (words.length > 0 || signal.aborted) resolve();
        }),
      say,
    },
  };
}
