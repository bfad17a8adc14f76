/**
 * What goes to one peer, in the order in which it was decided. A message whose bytes must be loaded first holds back
 * those behind it on its own lane only, so that a lease never waits for a large result.
 */

import type { Digest } from '../core/ids.ts';
import { laneOf, type Message } from '../protocol/messages.ts';
import type { ChunkStore, Lane } from '../protocol/ports.ts';

export interface OutboxSession {
  send(message: Message, tails?: readonly Uint8Array[]): Promise<void>;
}

export interface Outbox {
  /** Resolves true when the link took it, false when the link closed first. */
  put(message: Message, tail?: Digest): Promise<boolean>;
}

export function createOutbox(session: OutboxSession, chunks: ChunkStore): Outbox {
  const last: Record<Lane, Promise<boolean>> = { control: Promise.resolve(true), bulk: Promise.resolve(true) };
  const sendOne = async (message: Message, tail: Digest | undefined): Promise<boolean> => {
    const bytes = tail === undefined ? undefined : await chunks.get(tail);
    if (tail !== undefined && bytes === undefined) throw new Error(`result ${tail} is missing from the store`);
    try {
      await session.send(message, bytes === undefined ? [] : [bytes]);
      return true;
    } catch {
      // The link closed; the machine hears of it by `lost` and decides what to send again.
      return false;
    }
  };
  return {
    put: (message, tail) => {
      const lane = laneOf(message.type);
      const sent = last[lane].then(() => sendOne(message, tail));
      last[lane] = sent.catch(() => false);
      return sent;
    },
  };
}
