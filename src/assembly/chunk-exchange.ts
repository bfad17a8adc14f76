/**
 * Chunks over one session: asks the other side for content-addressed bytes and answers what it asks. Every chunk is
 * verified by the store before anyone sees it; a corrupt or missing one rejects the read that wanted it.
 */

import type { Bytes } from '../core/bytes.ts';
import { chunkBytesMax } from '../core/limits.ts';
import type { Digest } from '../core/ids.ts';
import type { Artifact } from '../protocol/artifact.ts';
import { chunksOfRange } from '../protocol/artifact.ts';
import { LinkClosedError, type Chunks, type ChunkStore } from '../protocol/ports.ts';
import type { Message } from '../protocol/messages.ts';
import { concat } from '../core/bytes.ts';
import { present } from '../core/assert.ts';

export class ChunkMissingError extends Error {
  override readonly name = 'ChunkMissingError';
}

/** What the exchange needs of a session. */
export interface ChunkSession {
  send(message: Message, tails?: readonly Uint8Array[]): Promise<void>;
}

interface Wanted {
  readonly promise: Promise<Bytes>;
  readonly arrived: (bytes: Bytes) => void;
  readonly failed: (error: Error) => void;
}

export interface ChunkExchange extends Chunks {
  chunk(digest: Digest): Promise<Bytes>;
  /** True where the message was about chunks and is dealt with. */
  receive(message: Message, tails: readonly Uint8Array[]): boolean;
  /** The session to ask from now on; requests that are open are asked again. */
  attach(session: ChunkSession): void;
  detach(): void;
  /** Gives up: every open request rejects. */
  close(reason: string): void;
  /** Payload bytes that had to be fetched; 0 where everything was cached. */
  readonly fetched: () => number;
}

/** Requests under way at once: enough to fill a link, few enough that control of memory stays here. */
const requestsMax = 8;

export function createChunkExchange(store: ChunkStore): ChunkExchange {
  const wanted = new Map<Digest, Wanted>();
  const asked = new Set<Digest>();
  let session: ChunkSession | undefined;
  let fetchedBytes = 0;

  const askNext = (): void => {
    for (const digest of wanted.keys()) {
      if (session === undefined || asked.size >= requestsMax) return;
      if (asked.has(digest)) continue;
      asked.add(digest);
      // A link that closes under the request re-asks after `attach`.
      session.send({ type: 'chunk-get', digest }).catch(() => asked.delete(digest));
    }
  };

  const settle = (digest: Digest, act: (wanted: Wanted) => void): void => {
    const waiting = wanted.get(digest);
    wanted.delete(digest);
    asked.delete(digest);
    if (waiting !== undefined) act(waiting);
    askNext();
  };

  const fetchChunk = (digest: Digest): Promise<Bytes> => {
    const already = wanted.get(digest);
    if (already !== undefined) return already.promise;
    const { promise, resolve, reject } = createPending<Bytes>();
    wanted.set(digest, { promise, arrived: resolve, failed: reject });
    askNext();
    return promise;
  };

  const chunk = async (digest: Digest): Promise<Bytes> => (await store.get(digest)) ?? fetchChunk(digest);

  const arrive = (digest: Digest, bytes: Uint8Array): void => {
    if (!wanted.has(digest)) return;
    const kept = new Uint8Array(bytes);
    store.put(digest, kept).then(
      () => {
        fetchedBytes += kept.byteLength;
        settle(digest, (waiting) => waiting.arrived(kept));
      },
      (error: Error) => settle(digest, (waiting) => waiting.failed(error)),
    );
  };

  const answer = async (digest: Digest): Promise<void> => {
    const bytes = await store.get(digest);
    const to = session;
    if (to === undefined) return;
    await (bytes === undefined
      ? to.send({ type: 'chunk-missing', digest })
      : to.send({ type: 'chunk', digest }, [bytes]));
  };

  const readRange = async (artifact: Artifact, start: number, end: number): Promise<Bytes> => {
    if (start >= end) return new Uint8Array(0);
    const { first, last } = chunksOfRange(start, end);
    const parts = await Promise.all(
      artifact.chunks.slice(first, last + 1).map((digest) => chunk(present(digest, 'an artifact lists its chunks'))),
    );
    const joined = parts.length === 1 ? present(parts[0], 'one part') : concat(...parts);
    return joined.slice(start - first * chunkBytesMax, end - first * chunkBytesMax);
  };

  return {
    chunk,
    read: (artifact) => readRange(artifact, 0, artifact.bytes),
    readRange,
    receive: (message, tails) => {
      switch (message.type) {
        case 'chunk-get':
          // A link that closes meanwhile needs no answer.
          answer(message.digest).catch(() => {});
          return true;
        case 'chunk':
          arrive(message.digest, tails[0] ?? new Uint8Array(0));
          return true;
        case 'chunk-missing':
          settle(message.digest, (waiting) =>
            waiting.failed(new ChunkMissingError(`chunk ${message.digest.slice(0, 12)}: the hub does not have it`)),
          );
          return true;
        default:
          return false;
      }
    },
    attach: (next) => {
      session = next;
      asked.clear();
      askNext();
    },
    detach: () => {
      session = undefined;
      asked.clear();
    },
    close: (reason) => {
      session = undefined;
      for (const [, waiting] of wanted) waiting.failed(new LinkClosedError(reason));
      wanted.clear();
      asked.clear();
    },
    fetched: () => fetchedBytes,
  };
}

function createPending<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
