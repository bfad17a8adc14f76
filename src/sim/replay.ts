/** Log replay equals state: the facts, folded apart from the hub, must give exactly what the hub holds. */

import type { Json } from '../core/json.ts';
import { applyPoolFact, newPoolState, poolStream, restorePool, type PoolFact, type PoolState } from '../swarm/pool.ts';
import type { FactRecord } from '../swarm/step.ts';
import type { HubMachine, LoadedStream } from '../swarm/hub.ts';
import {
  applyTrainFact,
  newTrainRecord,
  restoreTrainRecord,
  type TrainFact,
  type TrainRecord,
} from '../swarm/training.ts';
import { applyUnitsFact, newUnitsRecord, restoreUnitsRecord, type UnitsFact } from '../swarm/units-record.ts';
import type { JobRecord } from '../swarm/coordinator.ts';

export class Replay {
  private pool: PoolState = newPoolState();
  private readonly units = new Map<string, JobRecord>();
  private readonly trainings = new Map<string, TrainRecord>();

  observe({ stream, fact }: FactRecord): void {
    if (stream === poolStream) return applyPoolFact(this.pool, fact as PoolFact);
    const training = this.trainings.get(stream);
    if (training !== undefined) return applyTrainFact(training, fact as TrainFact);
    const units = this.units.get(stream);
    if (units !== undefined) return applyUnitsFact(units, fact as UnitsFact);
    const first = fact as UnitsFact;
    if (first.type !== 'submitted') return;
    const { manifest, signature } = first;
    if (manifest.program === 'train') this.trainings.set(stream, newTrainRecord(manifest, signature));
    else this.units.set(stream, newUnitsRecord(manifest, signature));
  }

  /** Begins again from what a store gave back. */
  reload(streams: readonly LoadedStream[]): void {
    this.pool = newPoolState();
    this.units.clear();
    this.trainings.clear();
    for (const { stream, snapshot, facts } of streams) {
      if (stream === poolStream) this.pool = restorePool(snapshot, facts);
      else if (isTraining(snapshot ?? facts[0])) this.trainings.set(stream, restoreTrainRecord(snapshot, facts));
      else this.units.set(stream, restoreUnitsRecord(snapshot, facts));
    }
  }

  /** The first stream whose state is not what its facts say, or undefined. */
  difference(hub: HubMachine): string | undefined {
    for (const stream of hub.streams()) {
      const folded = stream === poolStream ? this.pool : (this.trainings.get(stream) ?? this.units.get(stream));
      const path = folded === undefined ? 'all of it' : differenceAt(folded, hub.state(stream));
      if (path !== undefined) return `replaying stream ${stream.slice(0, 8)} gives another state at ${path}`;
    }
    return undefined;
  }
}

const isTraining = (first: Json | undefined): boolean =>
  (first as { manifest?: { program?: string } } | undefined)?.manifest?.program === 'train';

/** The path to the first difference, put together on the way back: the way down is walked millions of times. */
function differenceAt(a: unknown, b: unknown): string | undefined {
  if (a === b || Object.is(a, b)) return undefined;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return '';
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return ' (length)';
    for (let index = 0; index < a.length; index++) {
      // Units that nobody ever touched are the many; they are equal at a glance.
      if (a[index] === b[index]) continue;
      const found = differenceAt(a[index], b[index]);
      if (found !== undefined) return `/${index}${found}`;
    }
    return undefined;
  }
  if (a instanceof Map && b instanceof Map) {
    if (a.size !== b.size) return ' (size)';
    for (const [key, value] of a) {
      const found = differenceAt(value, b.get(key));
      if (found !== undefined) return `/${String(key)}${found}`;
    }
    return undefined;
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) {
    if (left[key] === right[key]) continue;
    const found = differenceAt(left[key], right[key]);
    if (found !== undefined) return `/${key}${found}`;
  }
  for (const key in right) if (right[key] !== undefined && !(key in left)) return `/${key}`;
  return undefined;
}
