/**
 * The store of a tab that hosts: an append-only log in IndexedDB. Read-write transactions on the same object stores
 * run one after another across all tabs of the profile, which is what makes the epoch check a fence.
 * Durability is `relaxed`: what was acknowledged survives the tab and the browser, not the machine's power.
 */

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { Json } from '../../core/json.ts';
import type { Store } from '../../protocol/ports.ts';
import { createGroupCommit } from './group-commit.ts';
import { judgeAppends, keysOf, staleEpoch, streamsOf, type Append } from './judge-appends.ts';

interface LogSchema extends DBSchema {
  streams: { key: string; value: { readonly epoch: number; readonly snapshot: string | undefined } };
  facts: {
    key: number;
    value: { readonly stream: string; readonly fact: string };
    indexes: { stream: string };
  };
  keys: { key: string; value: true };
}

const relaxed = { durability: 'relaxed' } as const;

/** The store in the database of this name, which is made where it is missing. */
export async function openIndexedDbStore(name = 'tabswarm-log'): Promise<Store> {
  const database = await openDB<LogSchema>(name, 1, {
    upgrade: (fresh) => {
      fresh.createObjectStore('streams');
      fresh.createObjectStore('facts', { autoIncrement: true }).createIndex('stream', 'stream');
      fresh.createObjectStore('keys');
    },
    // Another tab wants to raise the version or delete the database: an open connection would block it for ever.
    blocking: (_current, _wanted, event) => (event.target as IDBDatabase).close(),
  });
  const commits = createGroupCommit((appends) => commitAppends(database, appends));
  return {
    claim: (stream) => commits.alone(() => claim(database, stream)),
    append: commits.append,
    load: (stream) => commits.alone(() => load(database, stream)),
    snapshot: (stream, epoch, state) => commits.alone(() => snapshot(database, stream, epoch, state)),
    streams: () => commits.alone(async () => (await database.getAllKeys('streams')).toSorted()),
    close: () => commits.alone(async () => database.close()),
  };
}

type Database = IDBPDatabase<LogSchema>;

async function claim(database: Database, stream: string): Promise<number> {
  const transaction = database.transaction('streams', 'readwrite', relaxed);
  const held = await transaction.store.get(stream);
  const epoch = (held?.epoch ?? 0) + 1;
  await transaction.store.put({ epoch, snapshot: held?.snapshot }, stream);
  await transaction.done;
  return epoch;
}

async function load(
  database: Database,
  stream: string,
): Promise<{ readonly snapshot: Json | undefined; readonly facts: readonly Json[] }> {
  const transaction = database.transaction(['streams', 'facts'], 'readonly');
  const [held, facts] = await Promise.all([
    transaction.objectStore('streams').get(stream),
    transaction.objectStore('facts').index('stream').getAll(stream),
    transaction.done,
  ]);
  return {
    snapshot: held?.snapshot === undefined ? undefined : (JSON.parse(held.snapshot) as Json),
    facts: facts.map(({ fact }) => JSON.parse(fact) as Json),
  };
}

async function snapshot(database: Database, stream: string, epoch: number, state: Json): Promise<void> {
  const transaction = database.transaction(['streams', 'facts'], 'readwrite', relaxed);
  const streams = transaction.objectStore('streams');
  const held = await streams.get(stream);
  const stale = staleEpoch(stream, epoch, held?.epoch);
  if (stale !== undefined) {
    await transaction.done;
    throw stale;
  }
  const facts = transaction.objectStore('facts');
  const keys = await facts.index('stream').getAllKeys(stream);
  await Promise.all([
    streams.put({ epoch, snapshot: JSON.stringify(state) }, stream),
    ...keys.map((key) => facts.delete(key)),
    transaction.done,
  ]);
}

async function commitAppends(database: Database, appends: readonly Append[]): Promise<readonly (Error | undefined)[]> {
  const transaction = database.transaction(['streams', 'facts', 'keys'], 'readwrite', relaxed);
  const streams = transaction.objectStore('streams');
  const facts = transaction.objectStore('facts');
  const keys = transaction.objectStore('keys');
  const epochs = new Map<string, number>();
  const taken = new Set<string>();
  await Promise.all([
    ...streamsOf(appends).map(async (stream) => {
      const held = await streams.get(stream);
      if (held !== undefined) epochs.set(stream, held.epoch);
    }),
    ...keysOf(appends).map(async (key) => {
      if ((await keys.get(key)) === true) taken.add(key);
    }),
  ]);
  const judgement = judgeAppends(appends, { epochOf: (stream) => epochs.get(stream), hasKey: (key) => taken.has(key) });
  await Promise.all([
    ...judgement.records.map(({ stream, fact }) => facts.add({ stream, fact: JSON.stringify(fact) })),
    ...judgement.keys.map((key) => keys.add(true, key)),
    transaction.done,
  ]);
  return judgement.refusals;
}
