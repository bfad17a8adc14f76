/** The acceptance suites on memory and on IndexedDB; PGlite and files have theirs in `src/node`, Chromium in `e2e`. */

import 'fake-indexeddb/auto';
import { deleteDB, openDB } from 'idb';
import { describe, expect, it } from 'vitest';
import { copyBytes, utf8 } from '../../core/bytes.ts';
import { sha256 } from '../../core/hash.ts';
import { ChunkQuotaError } from '../../protocol/ports.ts';
import { cappedChunksAcceptance, chunksAcceptance } from './chunks-acceptance.ts';
import { createGroupCommit } from './group-commit.ts';
import { openIndexedDbChunks } from './indexeddb-chunks.ts';
import { openIndexedDbStore } from './indexeddb-store.ts';
import { createMemoryChunks } from './memory-chunks.ts';
import { createMemoryLog, createMemoryStore } from './memory-store.ts';
import { storeAcceptance, type AcceptanceCase } from './store-acceptance.ts';

const digestBytes = async (bytes: Uint8Array) => sha256(bytes);
let names = 0;
const freshName = (): string => `store-test-${names++}`;

function suite(title: string, cases: readonly AcceptanceCase[]): void {
  describe(`${title}`, () => {
    it.each(cases)('$title', async ({ run }) => {
      await expect(run()).resolves.toBeUndefined();
    });
  });
}

suite(
  'memory store',
  storeAcceptance(async () => {
    const log = createMemoryLog();
    return { open: async () => createMemoryStore(log) };
  }),
);

suite(
  'IndexedDB store',
  storeAcceptance(async () => {
    const name = freshName();
    return { open: () => openIndexedDbStore(name) };
  }),
);

for (const [title, acceptance, cap] of [
  ['memory chunks', chunksAcceptance, {}],
  ['memory chunks under a cap', cappedChunksAcceptance, { bytesMax: 1000 }],
] as const) {
  suite(
    title,
    acceptance(async () => {
      const held = new Map();
      return { open: async () => createMemoryChunks({ digestBytes, held, ...cap }) };
    }),
  );
}

for (const [title, acceptance, cap] of [
  ['IndexedDB chunks', chunksAcceptance, {}],
  ['IndexedDB chunks under a cap', cappedChunksAcceptance, { bytesMax: 1000 }],
] as const) {
  suite(
    title,
    acceptance(async () => {
      const name = freshName();
      return { open: () => openIndexedDbChunks({ digestBytes, name, ...cap }) };
    }),
  );
}

it('two tabs on one IndexedDB log: the second to claim fences the first', async () => {
  const name = freshName();
  const [first, second] = [await openIndexedDbStore(name), await openIndexedDbStore(name)];
  const old = await first.claim('a');
  const epoch = await second.claim('a');
  await expect(first.append([{ stream: 'a', epoch: old, fact: 1 }])).rejects.toThrow('stream a: written with epoch 1');
  await second.append([{ stream: 'a', epoch, fact: 2 }]);
  expect((await first.load('a')).facts).toEqual([2]);
  await Promise.all([first.close(), second.close()]);
  await deleteDB(name);
});

it('a chunk that IndexedDB gives back changed counts as missing and is thrown away', async () => {
  const name = freshName();
  const bytes = utf8('whole');
  const store = await openIndexedDbChunks({ digestBytes, name });
  await store.put(sha256(bytes), bytes);
  await store.close();
  const raw = await openDB(name);
  await raw.put('chunks', copyBytes(utf8('hole!')), sha256(bytes));
  raw.close();
  const again = await openIndexedDbChunks({ digestBytes, name });
  expect(await again.get(sha256(bytes))).toBeUndefined();
  expect(await again.usage()).toEqual({ chunks: 0, bytes: 0 });
  await again.put(sha256(bytes), bytes);
  expect(await again.get(sha256(bytes))).toEqual(bytes);
  await again.close();
});

describe('when the browser says that its quota is full', () => {
  /** Runs `work` while every write of a chunk fails with the browser's error unless `mayWrite` says otherwise. */
  async function withQuota(mayWrite: () => Promise<boolean>, work: () => Promise<void>): Promise<void> {
    const original = IDBObjectStore.prototype.put;
    let allowed = await mayWrite();
    IDBObjectStore.prototype.put = function put(this: IDBObjectStore, value: unknown, key?: IDBValidKey) {
      if (this.name === 'chunks' && !allowed) {
        void mayWrite().then((now) => (allowed = now));
        throw new DOMException('full', 'QuotaExceededError');
      }
      return original.call(this, value, key);
    };
    try {
      await work();
    } finally {
      IDBObjectStore.prototype.put = original;
    }
  }

  it('old chunks make room for the new one', async () => {
    const store = await openIndexedDbChunks({ digestBytes, name: freshName() });
    const old = utf8('an old chunk');
    const fresh = utf8('a new chunk');
    await store.put(sha256(old), old);
    let refusals = 0;
    await withQuota(
      async () => refusals++ > 0,
      async () => store.put(sha256(fresh), fresh),
    );
    expect(await store.get(sha256(fresh))).toEqual(fresh);
    expect(await store.has(sha256(old))).toBe(false);
    await store.close();
  });

  it('and nothing is left to evict, one line says so', async () => {
    const store = await openIndexedDbChunks({ digestBytes, name: freshName() });
    await withQuota(
      async () => false,
      async () => {
        const put = store.put(sha256(utf8('x')), utf8('x'));
        await expect(put).rejects.toThrow(ChunkQuotaError);
        await expect(put).rejects.toThrow('free disk space');
      },
    );
    expect(await store.usage()).toEqual({ chunks: 0, bytes: 0 });
    await store.close();
  });
});

it('appends that arrive during a transaction share the next one', async () => {
  const sizes: number[] = [];
  const gate: { open?: () => void } = {};
  const commits = createGroupCommit(async (appends) => {
    sizes.push(appends.length);
    if (sizes.length === 1) await new Promise<void>((resolve) => (gate.open = resolve));
    return appends.map(() => undefined);
  });
  const record = { stream: 'a', epoch: 1, fact: 1 };
  const all = Array.from({ length: 301 }, () => commits.append([record]));
  gate.open?.();
  await Promise.all(all);
  expect(sizes).toEqual([1, 256, 44]);
});

it('when a transaction fails, all of its appends say so and the next ones go on', async () => {
  let calls = 0;
  const commits = createGroupCommit(async (appends) => {
    if (calls++ === 1) throw new Error('disk on fire');
    return appends.map(() => undefined);
  });
  const record = { stream: 'a', epoch: 1, fact: 1 };
  const outcomes = await Promise.allSettled([
    commits.append([record]),
    commits.append([record]),
    commits.append([record]),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  await commits.append([record]);
});
