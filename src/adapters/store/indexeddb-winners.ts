/**
 * The store of tuned variants in a browser profile: IndexedDB, opened for each call, as there are few and a tab's worker
 * may be ended at any time. Records are small and lose nothing but a second of tuning when the browser clears them.
 */

import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import { winnerKey, type WinnerStore } from '../../kernels/winners.ts';

interface WinnerSchema extends DBSchema {
  winners: { key: [adapter: string, winner: string]; value: unknown };
}

export function createIndexedDbWinners(name = 'tabswarm-tuner'): WinnerStore {
  const within = async <T>(act: (database: IDBPDatabase<WinnerSchema>) => Promise<T>): Promise<T> => {
    const database = await openDB<WinnerSchema>(name, 1, {
      upgrade: (fresh) => {
        fresh.createObjectStore('winners');
      },
    });
    try {
      return await act(database);
    } finally {
      database.close();
    }
  };
  return {
    // Arrays come after all texts in IndexedDB's order of keys, so this range is all of one adapter's.
    load: (adapter) => within((database) => database.getAll('winners', IDBKeyRange.bound([adapter], [adapter, []]))),
    save: (adapter, winner) =>
      within(async (database) => {
        await database.put('winners', winner, [adapter, winnerKey(winner)]);
      }),
  };
}
