/**
 * What goes to one peer, in the order in which it was decided. A message whose bytes must be loaded first holds back
 * those behind it on its own lane only, so that a lease never waits for a large result.
 */

import type { Digest } from '../core/ids.ts';
import { laneOf, type Message } from '../protocol/messages.ts';
import { LinkClosedError, type ChunkStore, type Lane } from '../protocol/ports.ts';

export interface OutboxSession {
  send(message: Message, tails?: readonly Uint8Array[]): Promise<void>;
}

export interface Outbox {
  /** `sent` hears how many bytes the tail had. Resolves false when the link closed first, else true: the link took it, or it was reported as not sendable. */
  put(message: Message, tail?: Digest, sent?: (bytes: number) => void): Promise<boolean>;
}

export function createOutbox(session: OutboxSession, chunks: ChunkStore, report: (line: string) => void): Outbox {
  const last: Record<Lane, Promise<boolean>> = { control: Promise.resolve(true), bulk: Promise.resolve(true) };

  const load = async (message: Message, tail: Digest): Promise<[Message, Uint8Array[]]> => {
    const bytes = await chunks.get(tail);
    if (bytes !== undefined) return [message, [bytes]];
    // It may have gone since it was asked for.
    if (message.type === 'chunk') return [{ type: 'chunk-missing', digest: message.digest }, []];
    throw new Error(`${tail} is missing from the store`);
  };

  const sendOne = async (message: Message, tail?: Digest, sent?: (bytes: number) => void): Promise<boolean> => {
    try {
      const [ready, tails] = tail === undefined ? [message, []] : await load(message, tail);
      await session.send(ready, tails);
      sent?.(tails.reduce((sum, { byteLength }) => sum + byteLength, 0));
    } catch (error) {
      // The machine hears of a closed link by `lost` and decides what to send again.
      if (error instanceof LinkClosedError) return false;
      report(`${message.type}: ${error instanceof Error ? error.message : String(error)}`);
    }
    return true;
  };

  return {
    put: (message, tail, sent) => {
      const lane = laneOf(message.type);
      last[lane] = last[lane].then(() => sendOne(message, tail, sent));
      return last[lane];
    },
  };
}
