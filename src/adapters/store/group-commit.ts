/**
 * Group commit: appends that arrive while a transaction is in flight wait, and the next transaction takes them all.
 * Everything else (claims, snapshots, loads) runs alone, and all of it in the order of the calls, so that a snapshot
 * replaces exactly the facts that were appended before it.
 */

import type { Append } from './judge-appends.ts';

/** Bounds the work that is lost and done again when a transaction fails, and the memory of one statement. */
export const appendsPerCommitMax = 256;

export interface GroupCommit {
  append(records: Append): Promise<void>;
  /** Runs `work` after all that was asked before and before all that is asked later. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

type Waiting =
  | { readonly append: Append; readonly resolve: () => void; readonly reject: (error: unknown) => void }
  | { readonly run: () => Promise<void> };

/** `commit` stores a batch in one transaction and says for each append why it was refused, or undefined. */
export function createGroupCommit(
  commit: (appends: readonly Append[]) => Promise<readonly (Error | undefined)[]>,
): GroupCommit {
  const queue: Waiting[] = [];
  let running = false;

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const batch = takeBatch(queue);
      if (batch.length > 0) await commitBatch(batch);
      else {
        const next = queue.shift();
        if (next !== undefined && 'run' in next) await next.run();
      }
    }
    running = false;
  }

  async function commitBatch(batch: readonly Extract<Waiting, { append: Append }>[]): Promise<void> {
    try {
      const refusals = await commit(batch.map((waiting) => waiting.append));
      for (const [index, waiting] of batch.entries()) {
        const refusal = refusals[index];
        if (refusal === undefined) waiting.resolve();
        else waiting.reject(refusal);
      }
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
  }

  function enqueue(waiting: Waiting): void {
    queue.push(waiting);
    if (running) return;
    running = true;
    void drain();
  }

  return {
    append: (append) => {
      if (append.length === 0) return Promise.resolve();
      return new Promise((resolve, reject) => enqueue({ append, resolve, reject }));
    },
    alone: (work) => new Promise((resolve, reject) => enqueue({ run: () => work().then(resolve, reject) })),
  };
}

/** The appends at the head of the queue; none where something else stands there. */
function takeBatch(queue: Waiting[]): Extract<Waiting, { append: Append }>[] {
  const batch: Extract<Waiting, { append: Append }>[] = [];
  while (batch.length < appendsPerCommitMax) {
    const next = queue[0];
    if (next === undefined || !('append' in next)) break;
    batch.push(next);
    queue.shift();
  }
  return batch;
}
