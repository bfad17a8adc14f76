/**
 * What a machine gives back: facts to make durable, then effects that may leave. The driver commits `records` before
 * it performs any effect of the same step; nothing that a peer was told is ever lost by a crash.
 */

import type { Json } from '../core/json.ts';
import type { Digest, JobId, PeerId } from '../core/ids.ts';
import type { Message } from '../protocol/messages.ts';
import type { Artifact } from '../protocol/artifact.ts';

/** A fact for a stream's log; the driver adds the epoch. */
export interface FactRecord {
  readonly stream: string;
  readonly fact: Json;
  readonly unique?: string;
}

/** One accepted contribution of a training round: the result blob of a seat's unit. */
export interface Contribution {
  readonly seat: number;
  readonly result: Digest;
}

export type HubEffect =
  /** Send a message; `tail` names the blob whose bytes go with it. */
  | { readonly type: 'send'; readonly to: PeerId; readonly message: Message; readonly tail?: Digest }
  /** Compare two results under the job's policy and give back `compared`. */
  | {
      readonly type: 'compare';
      readonly job: JobId;
      readonly unit: number;
      readonly a: CompareSide;
      readonly b: CompareSide;
    }
  /** Nobody needs this result's bytes any more. */
  | { readonly type: 'forget'; readonly job: JobId; readonly digest: Digest }
  /** Make a training job's first parameters from its seed and give back `initialised`. */
  | { readonly type: 'initialise'; readonly job: JobId }
  /** Apply the outer step and give back `aggregated`. */
  | {
      readonly type: 'aggregate';
      readonly job: JobId;
      readonly round: number;
      readonly parameters: Artifact;
      readonly contributions: readonly Contribution[];
    }
  /** Read the report at the head of a training result and give back `inspected`. */
  | {
      readonly type: 'inspect';
      readonly job: JobId;
      readonly unit: number;
      readonly attempt: number;
      readonly digest: Digest;
    }
  | { readonly type: 'close'; readonly peer: PeerId; readonly reason: string };

export interface CompareSide {
  readonly attempt: number;
  readonly digest: Digest;
}

export interface HubStep {
  readonly records: readonly FactRecord[];
  readonly effects: readonly HubEffect[];
}
