/**
 * The store's in-memory twin: for tests, for tabs that only submit, and for a hub that may forget. What it keeps lives
 * in a `MemoryLog`, which outlives the store as a disk outlives a process. Values are kept as JSON text, so that
 * nobody shares an object with the log.
 */

import type { Json } from '../../core/json.ts';
import type { Store } from '../../protocol/ports.ts';
import { judgeAppends, staleEpoch, type Append } from './judge-appends.ts';

export interface MemoryLog {
  readonly streams: Map<string, { epoch: number; snapshot: string | undefined; facts: string[] }>;
  readonly keys: Set<string>;
}

export const createMemoryLog = (): MemoryLog => ({ streams: new Map(), keys: new Set() });

export function createMemoryStore(log: MemoryLog = createMemoryLog()): Store {
  return {
    claim: async (stream) => {
      const held = log.streams.get(stream);
      if (held === undefined) {
        log.streams.set(stream, { epoch: 1, snapshot: undefined, facts: [] });
        return 1;
      }
      held.epoch += 1;
      return held.epoch;
    },
    append: async (records) => append(log, records),
    load: async (stream) => {
      const held = log.streams.get(stream);
      return {
        snapshot: held?.snapshot === undefined ? undefined : (JSON.parse(held.snapshot) as Json),
        facts: (held?.facts ?? []).map((fact) => JSON.parse(fact) as Json),
      };
    },
    snapshot: async (stream, epoch, state) => {
      const held = log.streams.get(stream);
      const stale = staleEpoch(stream, epoch, held?.epoch);
      if (stale !== undefined || held === undefined) throw stale;
      held.snapshot = JSON.stringify(state);
      held.facts = [];
    },
    streams: async () => [...log.streams.keys()].toSorted(),
    close: async () => undefined,
  };
}

function append(log: MemoryLog, records: Append): void {
  const judgement = judgeAppends([records], {
    epochOf: (stream) => log.streams.get(stream)?.epoch,
    hasKey: (key) => log.keys.has(key),
  });
  const refusal = judgement.refusals[0];
  if (refusal !== undefined) throw refusal;
  for (const { stream, fact } of judgement.records) log.streams.get(stream)?.facts.push(JSON.stringify(fact));
  for (const key of judgement.keys) log.keys.add(key);
}
