/**
 * The durable part of a job of independent units: its facts and what they make of its record. Which facts to make is
 * decided in `units.ts`.
 */

import type { Json } from '../core/json.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { attemptAt, newUnitTable, unitAt } from './attempts.ts';
import { applyJobFact, type JobFact, type JobRecord } from './coordinator.ts';
import { structuredCopy } from './pool.ts';

export type UnitsFact =
  | JobFact
  | {
      readonly type: 'compared';
      readonly unit: number;
      readonly a: number;
      readonly b: number;
      readonly agree: boolean;
    }
  | {
      readonly type: 'accepted';
      readonly unit: number;
      readonly attempt: number;
      readonly honest: readonly number[];
      readonly dishonest: readonly number[];
    };

export const newUnitsRecord = (manifest: Manifest, signature: string): JobRecord => ({
  manifest,
  signature,
  phase: 'waiting',
  reason: null,
  table: newUnitTable(manifest.units),
});

export function applyUnitsFact(record: JobRecord, fact: UnitsFact): void {
  const { table } = record;
  if (fact.type === 'compared') {
    unitAt(table, fact.unit).compared.push([fact.a, fact.b, fact.agree]);
  } else if (fact.type === 'accepted') {
    const unit = unitAt(table, fact.unit);
    unit.accepted = fact.attempt;
    unit.compared = [];
    for (const attempt of fact.honest) attemptAt(table, fact.unit, attempt).state = 'agreed';
    for (const attempt of fact.dishonest) attemptAt(table, fact.unit, attempt).state = 'disagreed';
    table.accepted++;
    table.disagreements += fact.dishonest.length;
  } else {
    applyJobFact(record, fact);
  }
}

export function restoreUnitsRecord(snapshot: Json | undefined, facts: readonly Json[]): JobRecord {
  let record = snapshot === undefined ? undefined : (structuredCopy(snapshot) as JobRecord);
  for (const fact of facts as readonly UnitsFact[]) {
    if (fact.type === 'submitted') record = newUnitsRecord(fact.manifest, fact.signature);
    else if (record !== undefined) applyUnitsFact(record, fact);
  }
  if (record === undefined) throw new TypeError('a job stream does not begin with its submission');
  return record;
}
