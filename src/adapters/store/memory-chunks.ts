/** The chunk store's in-memory twin: for tests and for tabs that keep nothing. It can hold at most `bytesMax`. */

import { copyBytes, type Bytes } from '../../core/bytes.ts';
import type { Digest } from '../../core/ids.ts';
import { ChunkQuotaError, type ChunkStore, type DigestBytes } from '../../protocol/ports.ts';
import { checkDigest } from './check-digest.ts';

export interface MemoryChunksOptions {
  readonly digestBytes: DigestBytes;
  /** Bytes of all chunks together; the least recently used make room. No bound where it is left out. */
  readonly bytesMax?: number;
  /** Outlives the store, as a disk does. */
  readonly held?: Map<Digest, Bytes>;
}

export function createMemoryChunks({
  digestBytes,
  bytesMax = Infinity,
  held = new Map(),
}: MemoryChunksOptions): ChunkStore {
  let total = [...held.values()].reduce((sum, bytes) => sum + bytes.byteLength, 0);

  const remove = (digest: Digest): void => {
    total -= held.get(digest)?.byteLength ?? 0;
    held.delete(digest);
  };
  /** A map keeps the order of insertion, so the least recently used stands first. */
  const touch = (digest: Digest, bytes: Bytes): void => {
    held.delete(digest);
    held.set(digest, bytes);
  };

  return {
    has: async (digest) => held.has(digest),
    get: async (digest) => {
      const bytes = held.get(digest);
      if (bytes === undefined) return undefined;
      touch(digest, bytes);
      return copyBytes(bytes);
    },
    put: async (digest, bytes) => {
      const copy = copyBytes(bytes);
      await checkDigest(digestBytes, digest, copy);
      if (held.has(digest)) return touch(digest, copy);
      if (copy.byteLength > bytesMax) throw chunkTooLarge(copy.byteLength, bytesMax);
      for (const oldest of held.keys()) {
        if (total + copy.byteLength <= bytesMax) break;
        remove(oldest);
      }
      held.set(digest, copy);
      total += copy.byteLength;
    },
    delete: async (digest) => remove(digest),
    usage: async () => ({ chunks: held.size, bytes: total }),
    close: async () => undefined,
  };
}

export const chunkTooLarge = (bytes: number, bytesMax: number): ChunkQuotaError =>
  new ChunkQuotaError(`a chunk of ${bytes} bytes does not fit a store of at most ${bytesMax}: raise the byte cap`);
