/**
 * What every `Store` promises, as named cases without a test runner, so that the same ones run under Vitest and inside
 * a real browser's page. A case throws when the promise is broken.
 */

import { assert } from '../../core/assert.ts';
import type { Json } from '../../core/json.ts';
import { createRandom } from '../../core/prng.ts';
import { DuplicateKeyError, StaleEpochError, type Store } from '../../protocol/ports.ts';
import { createMemoryStore } from './memory-store.ts';

export interface AcceptanceCase {
  readonly title: string;
  run(): Promise<void>;
}

/** One place where a store keeps its data; `open` after `close` finds what was there. */
export interface Place<T> {
  open(): Promise<T>;
}

/** The cases; `fresh` gives an empty place for each. */
export function storeAcceptance(fresh: () => Promise<Place<Store>>): readonly AcceptanceCase[] {
  const withStore = (title: string, work: (store: Store, place: Place<Store>) => Promise<void>): AcceptanceCase => ({
    title,
    run: async () => {
      const place = await fresh();
      const store = await place.open();
      await work(store, place);
      await store.close();
    },
  });

  return [
    withStore('an empty store has no streams, and an unknown stream is empty', async (store) => {
      same(await store.streams(), []);
      same(await store.load('pool'), { facts: [] });
    }),

    withStore('facts come back in the order of their appends, stream by stream', async (store) => {
      const [a, b] = [await store.claim('a'), await store.claim('b')];
      await store.append([
        { stream: 'a', epoch: a, fact: { n: 1 } },
        { stream: 'b', epoch: b, fact: 'one' },
        { stream: 'a', epoch: a, fact: { n: 2 } },
      ]);
      await store.append([{ stream: 'a', epoch: a, fact: null }]);
      await store.append([]);
      same(await store.load('a'), { facts: [{ n: 1 }, { n: 2 }, null] });
      same(await store.load('b'), { facts: ['one'] });
      same(await store.streams(), ['a', 'b']);
    }),

    withStore('every JSON value survives, to the last bit and the oddest character', async (store) => {
      const odd: Json = [0.1, -1e308, 5e-324, 2 ** 53, '\u0000"\\\u2028𝄞\ud800', '', true, null, [], {}, { '': [{}] }];
      const epoch = await store.claim('odd "stream" 𝄞');
      await store.append([{ stream: 'odd "stream" 𝄞', epoch, fact: odd }]);
      same(await store.load('odd "stream" 𝄞'), { facts: [odd] });
    }),

    withStore('what was acknowledged is there after closing and opening again', async (store, place) => {
      const epoch = await store.claim('a');
      await store.append([{ stream: 'a', epoch, fact: 1, unique: 'k' }]);
      await store.close();
      const again = await place.open();
      same(await again.load('a'), { facts: [1] });
      const later = await again.claim('a');
      assert(later > epoch, `epoch ${later} after ${epoch}`);
      await refused(DuplicateKeyError, again.append([{ stream: 'a', epoch: later, fact: 2, unique: 'k' }]));
      await refused(StaleEpochError, again.append([{ stream: 'a', epoch, fact: 2 }]));
      await again.close();
    }),

    withStore('whoever claims a stream fences its last holder, and no other stream', async (store) => {
      const [old, other] = [await store.claim('a'), await store.claim('b')];
      await store.append([{ stream: 'a', epoch: old, fact: 'old' }]);
      const current = await store.claim('a');
      await refused(StaleEpochError, store.append([{ stream: 'a', epoch: old, fact: 'late' }]));
      await refused(StaleEpochError, store.snapshot('a', old, 'late'));
      await refused(StaleEpochError, store.append([{ stream: 'a', epoch: current + 1, fact: 'early' }]));
      await refused(StaleEpochError, store.append([{ stream: 'unclaimed', epoch: 1, fact: 'x' }]));
      await refused(StaleEpochError, store.snapshot('unclaimed', 1, 'x'));
      await store.append([
        { stream: 'a', epoch: current, fact: 'new' },
        { stream: 'b', epoch: other, fact: 'other' },
      ]);
      same(await store.load('a'), { facts: ['old', 'new'] });
      same(await store.load('b'), { facts: ['other'] });
      same(await store.load('unclaimed'), { facts: [] });
    }),

    withStore('an append over several streams is all or nothing', async (store) => {
      const [a, b] = [await store.claim('a'), await store.claim('b')];
      await store.claim('b');
      await refused(
        StaleEpochError,
        store.append([
          { stream: 'a', epoch: a, fact: 'half', unique: 'half' },
          { stream: 'b', epoch: b, fact: 'half' },
        ]),
      );
      same(await store.load('a'), { facts: [] });
      await store.append([{ stream: 'a', epoch: a, fact: 'whole', unique: 'half' }]);
      same(await store.load('a'), { facts: ['whole'] });
    }),

    withStore(
      'a key is taken once, over all streams, and its whole append is refused the second time',
      async (store) => {
        const [a, b] = [await store.claim('a'), await store.claim('b')];
        await store.append([{ stream: 'a', epoch: a, fact: 1, unique: 'credit 1' }]);
        await refused(
          DuplicateKeyError,
          store.append([
            { stream: 'b', epoch: b, fact: 2, unique: 'credit 2' },
            { stream: 'b', epoch: b, fact: 3, unique: 'credit 1' },
          ]),
        );
        await refused(
          DuplicateKeyError,
          store.append([
            { stream: 'b', epoch: b, fact: 4, unique: 'credit 3' },
            { stream: 'b', epoch: b, fact: 5, unique: 'credit 3' },
          ]),
        );
        same(await store.load('b'), { facts: [] });
        await store.append([
          { stream: 'b', epoch: b, fact: 6, unique: 'credit 2' },
          { stream: 'b', epoch: b, fact: 7, unique: 'credit 3' },
        ]);
        same(await store.load('b'), { facts: [6, 7] });
      },
    ),

    withStore('a snapshot replaces the facts before it, keeps those after it, and keeps the keys', async (store) => {
      const [a, b] = [await store.claim('a'), await store.claim('b')];
      await store.append([
        { stream: 'a', epoch: a, fact: 1, unique: 'k' },
        { stream: 'b', epoch: b, fact: 'other' },
      ]);
      await store.snapshot('a', a, { sum: 1 });
      same(await store.load('a'), { snapshot: { sum: 1 }, facts: [] });
      await store.append([{ stream: 'a', epoch: a, fact: 2 }]);
      same(await store.load('a'), { snapshot: { sum: 1 }, facts: [2] });
      await refused(DuplicateKeyError, store.append([{ stream: 'a', epoch: a, fact: 3, unique: 'k' }]));
      await store.snapshot('a', a, { sum: 3 });
      same(await store.load('a'), { snapshot: { sum: 3 }, facts: [] });
      assert((await store.claim('a')) > a, 'the epoch goes on after a snapshot');
      same(await store.load('a'), { snapshot: { sum: 3 }, facts: [] });
      same(await store.load('b'), { facts: ['other'] });
    }),

    withStore('of many appends at once each is judged alone, in the order of the calls', async (store) => {
      const epoch = await store.claim('a');
      const outcomes = await Promise.allSettled(
        Array.from({ length: 315 }, (_, n) =>
          // Every third has a key of an earlier one, every seventh an old epoch.
          store.append([
            { stream: 'a', epoch: n % 7 === 6 ? 0 : epoch, fact: n, unique: `k${n % 3 === 2 ? n - 1 : n}` },
          ]),
        ),
      );
      const model = createMemoryStore();
      const modelEpoch = await model.claim('a');
      for (let n = 0; n < 315; n++) {
        const expected = await model
          .append([
            { stream: 'a', epoch: n % 7 === 6 ? 0 : modelEpoch, fact: n, unique: `k${n % 3 === 2 ? n - 1 : n}` },
          ])
          .then(
            () => 'fulfilled' as const,
            () => 'rejected' as const,
          );
        same(outcomes[n]?.status, expected);
      }
      same(await store.load('a'), await model.load('a'));
    }),

    withStore('a snapshot between appends in flight replaces exactly those asked before it', async (store) => {
      const epoch = await store.claim('a');
      const before = Array.from({ length: 20 }, (_, n) => store.append([{ stream: 'a', epoch, fact: n }]));
      const snapshot = store.snapshot('a', epoch, 'twenty');
      const after = store.append([{ stream: 'a', epoch, fact: 20 }]);
      await Promise.all([...before, snapshot, after]);
      same(await store.load('a'), { snapshot: 'twenty', facts: [20] });
    }),

    ...[1, 2, 3].map((seed) =>
      withStore(`a random history reads like a plain list of facts (seed ${seed})`, (store, place) =>
        randomHistory(store, place, seed),
      ),
    ),
  ];
}

/** The store and a memory store get the same random calls and must answer alike throughout. */
async function randomHistory(first: Store, place: Place<Store>, seed: number): Promise<void> {
  const random = createRandom(seed);
  const model = createMemoryStore();
  let store = first;
  const names = ['a', 'b', 'c'];
  const epochs = new Map<string, number>();
  for (let step = 0; step < 120; step++) {
    const name = names[random.below(3)] ?? 'a';
    const where = `seed ${seed}, step ${step}`;
    const epoch = Math.max(0, (epochs.get(name) ?? 0) - (random.below(8) === 0 ? 1 : 0));
    const choice = random.below(20);
    if (choice < 2) {
      const [mine, expected] = [await store.claim(name), await model.claim(name)];
      same(mine, expected, where);
      epochs.set(name, mine);
    } else if (choice < 3) {
      await agree((s) => s.snapshot(name, epoch, { step }), store, model, where);
    } else if (choice < 4) {
      await store.close();
      store = await place.open();
    } else {
      const records = Array.from({ length: 1 + random.below(3) }, (_, index) => ({
        stream: name,
        epoch,
        fact: { step, index },
        ...(random.below(3) === 0 ? { unique: `k${random.below(60)}` } : {}),
      }));
      await agree((s) => s.append(records), store, model, where);
    }
    same(await store.load(name), await model.load(name), where);
  }
  same(await store.streams(), await model.streams());
  await store.close();
}

async function agree(call: (store: Store) => Promise<void>, store: Store, model: Store, where: string): Promise<void> {
  const outcome = (target: Store): Promise<string> =>
    call(target).then(
      () => 'done',
      (error: unknown) => (error instanceof Error ? error.name : String(error)),
    );
  same(await outcome(store), await outcome(model), where);
}

/** Throws unless the promise rejects with this error. */
export async function refused(kind: new (text: string) => Error, promise: Promise<unknown>): Promise<void> {
  const outcome = await promise.then(
    () => 'was taken',
    (error: unknown) => error,
  );
  assert(outcome instanceof kind, `expected ${kind.name}, but it ${String(outcome)}`);
  assert(!outcome.message.includes('\n') && outcome.message !== '', 'an error says in one line what is wrong');
}

/** Throws unless both have the same JSON text. */
export function same(found: unknown, expected: unknown, where = ''): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  assert(a === b, `${where === '' ? '' : `${where}: `}found ${a}, expected ${b}`);
}
