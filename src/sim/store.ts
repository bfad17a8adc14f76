/** The simulated durable log: what was committed survives a crash, and a unique key is taken only once. */

import { assert } from '../core/assert.ts';
import type { Json } from '../core/json.ts';
import type { FactRecord } from '../swarm/step.ts';
import type { LoadedStream } from '../swarm/hub.ts';

export class SimStore {
  private readonly streams = new Map<string, { snapshot: Json | undefined; facts: Json[] }>();
  private readonly keys = new Set<string>();
  /** Facts committed in all. */
  committed = 0;

  append(records: readonly FactRecord[]): void {
    for (const { stream, fact, unique } of records) {
      if (unique !== undefined) {
        assert(!this.keys.has(unique), `the store refused a second record with key ${unique}`);
        this.keys.add(unique);
      }
      this.stream(stream).facts.push(fact);
      this.committed++;
    }
  }

  /** Replaces a stream's facts by the state that they lead to. */
  snapshot(stream: string, state: Json): void {
    Object.assign(this.stream(stream), { snapshot: state, facts: [] });
  }

  /** As text and back, as a real store would give it. */
  load(): LoadedStream[] {
    return [...this.streams].map(([stream, kept]) => ({
      stream,
      ...(JSON.parse(JSON.stringify(kept)) as typeof kept),
    }));
  }

  private stream(stream: string) {
    let kept = this.streams.get(stream);
    if (kept === undefined) {
      kept = { snapshot: undefined, facts: [] };
      this.streams.set(stream, kept);
    }
    return kept;
  }
}
