/**
 * Chunks in IndexedDB: weights and data that a tab keeps between visits. Under a byte cap, or when the browser's quota
 * is full, the least recently used make room. Sizes and times of use lie beside the bytes in a store of their own, so
 * that counting and choosing what to evict never reads a chunk.
 */

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import { copyBytes, type Bytes } from '../../core/bytes.ts';
import type { Digest } from '../../core/ids.ts';
import { ChunkQuotaError, type ChunkStore, type DigestBytes } from '../../protocol/ports.ts';
import { checkDigest } from './check-digest.ts';
import { chunkTooLarge } from './memory-chunks.ts';

export interface IndexedDbChunksOptions {
  readonly digestBytes: DigestBytes;
  readonly name?: string;
  /** Bytes of all chunks together; the browser's own quota where it is left out. */
  readonly bytesMax?: number;
}

interface ChunkSchema extends DBSchema {
  chunks: { key: Digest; value: Bytes };
  uses: {
    key: Digest;
    /** `used` counts up with every use; equal numbers of two tabs do no harm. */
    value: { readonly bytes: number; readonly used: number };
    indexes: { used: number };
  };
}
type Database = IDBPDatabase<ChunkSchema>;

const relaxed = { durability: 'relaxed' } as const;

export async function openIndexedDbChunks({
  digestBytes,
  name = 'tabswarm-chunks',
  bytesMax = Infinity,
}: IndexedDbChunksOptions): Promise<ChunkStore> {
  const database = await openDB<ChunkSchema>(name, 1, {
    upgrade: (fresh) => {
      fresh.createObjectStore('chunks');
      fresh.createObjectStore('uses').createIndex('used', 'used');
    },
    blocking: (_current, _wanted, event) => (event.target as IDBDatabase).close(),
  });
  const newest = await database.transaction('uses').store.index('used').openCursor(null, 'prev');
  let used = newest?.value.used ?? 0;
  /** Reads since the last write; they are written down with the next one, as a write for each read would cost more than it. */
  const touched = new Map<Digest, number>();
  /** Digests that were checked since the store was opened, so that each chunk is hashed once a visit. */
  const checked = new Set<Digest>();

  /** One write after another: two at once would each find the room that only one of them can have. */
  let lastWrite: Promise<void> = Promise.resolve();

  async function get(digest: Digest): Promise<Bytes | undefined> {
    const bytes = await database.get('chunks', digest);
    if (bytes === undefined) return undefined;
    if (!checked.has(digest)) {
      if ((await digestBytes(bytes)) !== digest) {
        await remove(database, digest);
        return undefined;
      }
      checked.add(digest);
    }
    touched.set(digest, ++used);
    return bytes;
  }

  async function put(digest: Digest, bytes: Uint8Array): Promise<void> {
    // A view of larger memory would be stored with all of it.
    const copy = copyBytes(bytes);
    await checkDigest(digestBytes, digest, copy);
    if (copy.byteLength > bytesMax) throw chunkTooLarge(copy.byteLength, bytesMax);
    const turn = lastWrite.then(async () => {
      if ((await get(digest)) !== undefined) return;
      await makeRoom(copy.byteLength, bytesMax);
      await write(digest, copy);
      checked.add(digest);
    });
    lastWrite = turn.catch(() => undefined);
    await turn;
  }

  /** Writes; while the browser says that its quota is full, evicts twice what is needed and tries again. */
  async function write(digest: Digest, bytes: Bytes): Promise<void> {
    for (;;) {
      const failure = await tryToWrite(digest, bytes);
      if (failure === undefined) return;
      if (!isQuotaError(failure)) throw failure;
      const { bytes: total } = await usage(database);
      if (total === 0) {
        throw new ChunkQuotaError(
          `no room for ${bytes.byteLength} bytes: the browser's quota for this site is full; free disk space`,
        );
      }
      await makeRoom(2 * bytes.byteLength, total);
    }
  }

  /** Why the bytes could not be written, or undefined. */
  async function tryToWrite(digest: Digest, bytes: Bytes): Promise<unknown> {
    const transaction = database.transaction(['chunks', 'uses'], 'readwrite', relaxed);
    try {
      await Promise.all([
        transaction.objectStore('chunks').put(bytes, digest),
        transaction.objectStore('uses').put({ bytes: bytes.byteLength, used: ++used }, digest),
      ]);
      await transaction.done;
      return undefined;
    } catch (error) {
      // A request of an aborted transaction only says that it was aborted; the transaction knows why.
      return transaction.done.then(
        () => error,
        (cause: unknown) => cause,
      );
    }
  }

  /** Evicts until `needed` bytes more stay within `most`, or nothing is left. */
  async function makeRoom(needed: number, most: number): Promise<void> {
    const { bytes: total } = await usage(database);
    let excess = total + needed - most;
    const transaction = database.transaction(['chunks', 'uses'], 'readwrite', relaxed);
    const uses = transaction.objectStore('uses');
    for (const [digest, use] of touched) {
      const held = await uses.get(digest);
      if (held !== undefined && held.used < use) await uses.put({ ...held, used: use }, digest);
    }
    touched.clear();
    for (let cursor = await uses.index('used').openCursor(); cursor !== null && excess > 0;) {
      excess -= cursor.value.bytes;
      checked.delete(cursor.primaryKey);
      await Promise.all([transaction.objectStore('chunks').delete(cursor.primaryKey), cursor.delete()]);
      cursor = await cursor.continue();
    }
    await transaction.done;
  }

  return {
    has: async (digest) => (await database.getKey('uses', digest)) !== undefined,
    get,
    put,
    delete: async (digest) => {
      checked.delete(digest);
      touched.delete(digest);
      await remove(database, digest);
    },
    usage: () => usage(database),
    close: async () => {
      if (touched.size > 0) await makeRoom(0, Infinity);
      database.close();
    },
  };
}

async function remove(database: Database, digest: Digest): Promise<void> {
  const transaction = database.transaction(['chunks', 'uses'], 'readwrite', relaxed);
  await Promise.all([
    transaction.objectStore('chunks').delete(digest),
    transaction.objectStore('uses').delete(digest),
    transaction.done,
  ]);
}

async function usage(database: Database): Promise<{ readonly chunks: number; readonly bytes: number }> {
  const uses = await database.getAll('uses');
  return { chunks: uses.length, bytes: uses.reduce((sum, use) => sum + use.bytes, 0) };
}

/** `QuotaExceededError` is a DOMException's name in older browsers and a class of its own in newer ones. */
const isQuotaError = (error: unknown): boolean => error instanceof Error && error.name === 'QuotaExceededError';
