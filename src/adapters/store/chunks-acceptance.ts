/** What every `ChunkStore` promises, as named cases without a test runner; see `store-acceptance`. */

import { assert } from '../../core/assert.ts';
import { concat, equalBytes, utf8, type Bytes } from '../../core/bytes.ts';
import { sha256 } from '../../core/hash.ts';
import type { Digest } from '../../core/ids.ts';
import { chunkBytesMax } from '../../core/limits.ts';
import { createRandom } from '../../core/prng.ts';
import { ChunkCorruptError, ChunkQuotaError, type ChunkStore } from '../../protocol/ports.ts';
import { refused, same, type AcceptanceCase, type Place } from './store-acceptance.ts';

type ChunkCase = (store: ChunkStore, place: Place<ChunkStore>) => Promise<void>;

const named = (title: string, fresh: () => Promise<Place<ChunkStore>>, work: ChunkCase): AcceptanceCase => ({
  title,
  run: async () => {
    const place = await fresh();
    const store = await place.open();
    await work(store, place);
    await store.close();
  },
});

export function chunksAcceptance(fresh: () => Promise<Place<ChunkStore>>): readonly AcceptanceCase[] {
  const random = createRandom(21);
  const cases: readonly (readonly [string, ChunkCase])[] = [
    [
      'an empty store has nothing',
      async (store) => {
        const [name] = chunk('a');
        same(await store.has(name), false);
        same(await store.get(name), undefined);
        same(await store.usage(), { chunks: 0, bytes: 0 });
        await store.delete(name);
      },
    ],
    [
      'bytes of awkward sizes come back as they were put',
      async (store) => {
        for (const length of [0, 1, 315, 2179, chunkBytesMax]) {
          const bytes = Uint8Array.from({ length }, () => random.u32() & 255);
          await store.put(sha256(bytes), bytes);
          await holds(store, sha256(bytes), bytes);
        }
        same(await store.usage(), { chunks: 5, bytes: 1 + 315 + 2179 + chunkBytesMax });
      },
    ],
    [
      'bytes that are not what their digest says are refused, and nothing is kept',
      async (store) => {
        const [name] = chunk('a');
        await refused(ChunkCorruptError, store.put(name, utf8('b')));
        same(await store.has(name), false);
        same(await store.usage(), { chunks: 0, bytes: 0 });
      },
    ],
    [
      'what is put twice, also at once, is counted once',
      async (store) => {
        const [name, bytes] = chunk('twice');
        await Promise.all([store.put(name, bytes), store.put(name, bytes)]);
        await store.put(name, bytes);
        same(await store.usage(), { chunks: 1, bytes: bytes.byteLength });
      },
    ],
    [
      'the store shares no memory with its callers, and keeps only the view it was given',
      async (store) => {
        const bytes = utf8('0123456789').subarray(2, 5);
        const name = sha256(bytes);
        await store.put(name, bytes);
        bytes.fill(0);
        await holds(store, name, utf8('234'));
        (await store.get(name))?.fill(0);
        await holds(store, name, utf8('234'));
        same((await store.get(name))?.buffer.byteLength, 3);
      },
    ],
    [
      'what was put is there after closing and opening again, and a download goes on where it stopped',
      async (store, place) => {
        const all = ['one', 'two', 'three'].map(chunk);
        for (const [name, bytes] of all.slice(0, 2)) await store.put(name, bytes);
        await store.close();
        const again = await place.open();
        const there = await Promise.all(all.map(([name]) => again.has(name)));
        same(there, [true, true, false]);
        for (const [name, bytes] of all) await again.put(name, bytes);
        for (const [name, bytes] of all) await holds(again, name, bytes);
        same(await again.usage(), { chunks: 3, bytes: 11 });
        await again.close();
      },
    ],
    [
      'what is deleted is gone, and can be put again',
      async (store) => {
        const [[a, aBytes], [b, bBytes]] = [chunk('a'), chunk('bb')];
        await store.put(a, aBytes);
        await store.put(b, bBytes);
        await store.delete(a);
        same(await store.has(a), false);
        same(await store.get(a), undefined);
        same(await store.usage(), { chunks: 1, bytes: 2 });
        await store.put(a, aBytes);
        await holds(store, a, aBytes);
        await holds(store, b, bBytes);
      },
    ],
  ];
  return cases.map(([title, work]) => named(title, fresh, work));
}

/** For stores with a byte cap; `fresh` gives an empty one of at most 1000 bytes. */
export function cappedChunksAcceptance(fresh: () => Promise<Place<ChunkStore>>): readonly AcceptanceCase[] {
  const of400 = (text: string): readonly [Digest, Bytes] => chunk(text.padEnd(400, '.'));
  const cases: readonly (readonly [string, ChunkCase])[] = [
    [
      'the least recently used chunk makes room, and reading is a use',
      async (store) => {
        const [a, b, c] = [of400('a'), of400('b'), of400('c')];
        await store.put(...a);
        await store.put(...b);
        await store.get(a[0]);
        await store.put(...c);
        same(await Promise.all([a, b, c].map(([name]) => store.has(name))), [true, false, true]);
        same(await store.usage(), { chunks: 2, bytes: 800 });
      },
    ],
    [
      'what was read last is remembered over a closing',
      async (store, place) => {
        const [a, b, c] = [of400('a'), of400('b'), of400('c')];
        await store.put(...a);
        await store.put(...b);
        await store.get(a[0]);
        await store.close();
        const again = await place.open();
        await again.put(...c);
        same(await Promise.all([a, b, c].map(([name]) => again.has(name))), [true, false, true]);
        await again.close();
      },
    ],
    [
      'many puts at once keep the cap',
      async (store) => {
        await Promise.all(Array.from({ length: 20 }, (_, n) => store.put(...of400(`chunk ${n}`))));
        same(await store.usage(), { chunks: 2, bytes: 800 });
      },
    ],
    [
      'a chunk larger than the cap is refused and evicts nothing',
      async (store) => {
        const [a, large] = [of400('a'), concat(of400('b')[1], of400('c')[1], of400('d')[1])];
        await store.put(...a);
        await refused(ChunkQuotaError, store.put(sha256(large), large));
        await holds(store, ...a);
        same(await store.usage(), { chunks: 1, bytes: 400 });
      },
    ],
  ];
  return cases.map(([title, work]) => named(title, fresh, work));
}

function chunk(text: string): readonly [Digest, Bytes] {
  const bytes = utf8(text);
  return [sha256(bytes), bytes];
}

async function holds(store: ChunkStore, name: Digest, bytes: Uint8Array): Promise<void> {
  same(await store.has(name), true);
  const found = await store.get(name);
  assert(found !== undefined, `chunk ${name} is missing`);
  assert(equalBytes(found, bytes), `chunk ${name} came back changed`);
}
