/**
 * How a job comes into the hub: why one is not taken, and the coordinator that a job of its kind gets, new from a manifest
 * or rebuilt from its stream.
 */

import type { AccountId, JobId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Coordinator, JobContext } from './coordinator.ts';
import { ServingCoordinator } from './serving.ts';
import { TrainingCoordinator } from './training.ts';
import { checkTraining } from './training-manifest.ts';
import { newTrainRecord, restoreTrainRecord } from './training-record.ts';
import { newUnitsRecord, restoreUnitsRecord } from './units-record.ts';
import { UnitsCoordinator } from './units.ts';

/** Why this job is not taken, or undefined. */
export function objectionTo(
  manifest: Manifest,
  account: AccountId,
  unixSeconds: number,
  draining: boolean,
): string | undefined {
  if (draining) return 'the hub is shutting down; submit again in a moment';
  if (manifest.submitter !== account) return 'a job is submitted by the account that its manifest names';
  if (manifest.expires <= unixSeconds) return 'the manifest has expired; sign a new one';
  if (manifest.program === 'train') return checkTraining(manifest);
  return undefined;
}

export function newCoordinator(job: JobId, context: JobContext, manifest: Manifest, signature: string): Coordinator {
  if (manifest.program === 'train') return new TrainingCoordinator(job, context, newTrainRecord(manifest, signature));
  const record = newUnitsRecord(manifest, signature);
  if (manifest.program === 'serve') return new ServingCoordinator(job, context, record, manifest);
  return new UnitsCoordinator(job, context, record);
}

/** The coordinator that a job's stream describes; `Coordinator.rebuild` brings back what is not durable. */
export function restoreCoordinator(
  job: JobId,
  context: JobContext,
  snapshot: Json | undefined,
  facts: readonly Json[],
): Coordinator {
  const first = (snapshot ?? facts[0]) as { readonly manifest?: Manifest } | undefined;
  if (first?.manifest?.program === 'train') {
    return new TrainingCoordinator(job, context, restoreTrainRecord(snapshot, facts));
  }
  const record = restoreUnitsRecord(snapshot, facts);
  if (record.manifest.program === 'serve') return new ServingCoordinator(job, context, record, record.manifest);
  return new UnitsCoordinator(job, context, record);
}
