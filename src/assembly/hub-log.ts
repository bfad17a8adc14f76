/**
 * The hub's log in its store: takes over the streams that are there, appends facts with the epochs that fence earlier
 * owners, and folds long streams into snapshots when the hub starts.
 */

import type { Json } from '../core/json.ts';
import { present } from '../core/assert.ts';
import type { Store } from '../protocol/ports.ts';
import type { LoadedStream } from '../swarm/hub.ts';
import type { FactRecord } from '../swarm/step.ts';

export interface HubLog {
  readonly loaded: readonly LoadedStream[];
  /** One transaction: all records or none. */
  commit(records: readonly FactRecord[]): Promise<void>;
  /** Replaces long streams by their state. Only while nothing is being committed. */
  compact(stateOf: (stream: string) => Json): Promise<void>;
}

/** A stream is read back fact by fact at each start; beyond this many a snapshot is quicker. */
const factsMax = 1_000;

/** `ours` tells the machine's streams from those that others keep in the same store. */
export async function openHubLog(store: Store, ours: (stream: string) => boolean): Promise<HubLog> {
  const epochs = new Map<string, number>();
  const loaded: LoadedStream[] = [];
  for (const stream of (await store.streams()).filter(ours)) {
    epochs.set(stream, await store.claim(stream));
    loaded.push({ stream, ...(await store.load(stream)) });
  }
  const epochOf = (stream: string): number => present(epochs.get(stream), 'a claimed stream');
  return {
    loaded,
    commit: async (records) => {
      for (const { stream } of records) if (!epochs.has(stream)) epochs.set(stream, await store.claim(stream));
      await store.append(records.map((record) => ({ ...record, epoch: epochOf(record.stream) })));
    },
    compact: async (stateOf) => {
      for (const { stream, facts } of loaded) {
        if (facts.length > factsMax) await store.snapshot(stream, epochOf(stream), stateOf(stream));
      }
    },
  };
}
