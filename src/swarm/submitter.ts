/**
 * The submitter's machine: offers jobs, provides the chunks that the hub lacks, and collects each accepted unit exactly
 * once, over as many links as it takes. The driver owns chunks, signatures and the link.
 */

import type { Digest, JobId } from '../core/ids.ts';
import type { JobState, Message, MessageOf } from '../protocol/messages.ts';

export type SubmitterInput =
  /** The manifest's bytes are chunk `job`; `units` is its number of units. */
  | { readonly type: 'submit'; readonly job: JobId; readonly signature: string; readonly units: number }
  /** Follow a job that was submitted before, having these units already. */
  | { readonly type: 'watch'; readonly job: JobId; readonly units: number; readonly have?: readonly number[] }
  | { readonly type: 'cancel'; readonly job: JobId }
  | { readonly type: 'list' }
  | { readonly type: 'linked' }
  | { readonly type: 'unlinked' }
  | { readonly type: 'message'; readonly message: Message };

export type SubmitterEffect =
  | { readonly type: 'send'; readonly message: Message }
  /** Send these chunks of the job (the manifest's own bytes among them) as `chunk` messages. */
  | { readonly type: 'provide'; readonly job: JobId; readonly digests: readonly Digest[] }
  /** An accepted unit, for the first time; its bytes are the message's tail. */
  | { readonly type: 'collect'; readonly accepted: MessageOf<'unit-accepted'> }
  | { readonly type: 'listed'; readonly jobs: MessageOf<'jobs'>['jobs'] }
  /** The job's state changed; `finished` when it will not change again and all its accepted units were collected. */
  | { readonly type: 'changed'; readonly job: JobId; readonly finished: boolean }
  /** The hub would not take the job. */
  | { readonly type: 'refused'; readonly job: JobId; readonly reason: string };

export interface SubmittedJob {
  readonly job: JobId;
  readonly phase: 'offering' | 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'refused';
  readonly state: JobState | undefined;
  readonly collected: number;
  readonly finished: boolean;
}

export interface SubmitterMachine {
  receive(input: SubmitterInput, now: number): readonly SubmitterEffect[];
  job(job: JobId): SubmittedJob | undefined;
}

export declare function createSubmitter(): SubmitterMachine;
