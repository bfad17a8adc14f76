/** The store of tuned variants in memory: for tests, and for tabs whose browser keeps nothing. */

import { winnerKey, type WinnerStore } from '../../kernels/winners.ts';

/** `held` outlives the store, as a disk does: records by adapter, then by family and bucket. */
export function createMemoryWinners(held = new Map<string, Map<string, unknown>>()): WinnerStore {
  return {
    load: async (adapter) => [...(held.get(adapter)?.values() ?? [])],
    save: async (adapter, winner) => {
      const records = held.get(adapter) ?? new Map<string, unknown>();
      held.set(adapter, records.set(winnerKey(winner), winner));
    },
  };
}
