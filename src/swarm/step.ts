/**
 * What the hub's machine takes and gives back. A step holds facts to make durable, then effects that may leave. The
 * driver commits `records` in one transaction before it performs any effect of the same step; nothing that a peer was
 * told is ever lost by a crash.
 */

import type { Json } from '../core/json.ts';
import type { AccountId, Digest, JobId, PeerId } from '../core/ids.ts';
import type { LeaseKey, Message, Role, Seat } from '../protocol/messages.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Artifact } from '../protocol/artifact.ts';

/** What the driver tells the hub. Peers are authenticated, signatures and digests checked, before anything arrives here. */
export type HubInput =
  | {
      readonly type: 'connected';
      readonly peer: PeerId;
      readonly account: AccountId;
      readonly role: Role;
      /** `127.0.0.0/8`, `203.0.113.0/24` or `unknown`; see `Link.addressBlock`. */
      readonly addressBlock: string;
    }
  | { readonly type: 'lost'; readonly peer: PeerId }
  /**
   * Any message of a volunteer or submitter except `submit` and those that the driver answers itself (hello, prove,
   * ping, pong, chunk-get, chunk, chunk-missing). A `result` that the hub `wants` comes in when its tail and its checked
   * receipt lie in the chunk store; `receipt` is then the text that is stored.
   */
  | { readonly type: 'message'; readonly from: PeerId; readonly message: Message }
  /**
   * A peer offered a job. `manifest` is absent while its own bytes are missing (then `missing` is `[job]`). The hub
   * answers with `chunks-wanted`; the driver gives this input again, with what is then missing, as chunks come in.
   */
  | {
      readonly type: 'submitted';
      readonly from: PeerId;
      readonly job: JobId;
      readonly signature: string;
      readonly manifest?: Manifest;
      readonly missing: readonly Digest[];
      /** Seconds since 1970, to hold against the manifest's `expires`. */
      readonly unixSeconds: number;
    }
  /** A volunteer asked the hub for a chunk, or its link has taken it: what `chunk-sources` granted is under way, or there. */
  | { readonly type: 'chunk-given'; readonly peer: PeerId; readonly digest: Digest; readonly stage: 'asked' | 'sent' }
  /** The link took a `unit-accepted` that the hub asked to send: the next may follow. One for each such send. */
  | { readonly type: 'delivered'; readonly peer: PeerId }
  | {
      readonly type: 'compared';
      readonly job: JobId;
      readonly unit: number;
      readonly a: number;
      readonly b: number;
      readonly agree: boolean;
    }
  | { readonly type: 'initialised'; readonly job: JobId; readonly parameters: Artifact }
  | ({ readonly type: 'inspected'; readonly job: JobId; readonly unit: number; readonly attempt: number } & (
      { readonly report: SeatReport } | { readonly problem: string }
    ))
  | {
      readonly type: 'aggregated';
      readonly job: JobId;
      readonly round: number;
      /** As in the effect: null for the global parameters, the seat for `solo`. */
      readonly seat: number | null;
      readonly parameters: Artifact;
    }
  /** An `initialise` or `aggregate` effect could not be done: the job fails with this reason. */
  | { readonly type: 'job-problem'; readonly job: JobId; readonly reason: string }
  /** No new leases from here on; results are still taken. */
  | { readonly type: 'shutdown' };

/** What a training unit says of itself, read from the head of its result. Losses are mean nats per token. */
export interface SeatReport {
  /** Mean over the unit's inner steps; null for a unit of zero steps. */
  readonly trainLoss: number | null;
  /** Of the parameters that the unit started from; null where it did not evaluate. */
  readonly validationLoss: number | null;
  readonly steps: number;
  readonly tokens: number;
  /** Of the parameters that the unit started from. */
  readonly parametersSha256: Digest;
  /** Counted at the seat's link since its last report. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** A fact for a stream's log; the driver adds the epoch. */
export interface FactRecord {
  /** A job's id, or `pool`. */
  readonly stream: string;
  readonly fact: Json;
  readonly unique?: string;
}

/** One accepted contribution of a training round: the result blob of a seat's unit. */
export interface Contribution {
  readonly seat: number;
  readonly result: Digest;
}

export interface CompareSide {
  readonly attempt: number;
  readonly digest: Digest;
}

export type HubEffect =
  /** Send a message; `tail` names the blob whose bytes go with it. */
  | { readonly type: 'send'; readonly to: PeerId; readonly message: Message; readonly tail?: Digest }
  /** Compare two results under the job's policy (`compareOutputs`) and give back `compared`. */
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
  /** Apply the outer step to `parameters` and give back `aggregated`; `seat` is null save for `solo`. */
  | {
      readonly type: 'aggregate';
      readonly job: JobId;
      readonly round: number;
      readonly seat: number | null;
      readonly parameters: Artifact;
      readonly contributions: readonly Contribution[];
    }
  /** Hold the report at the head of a training result against what the seat was lent and give back `inspected`. */
  | ({ readonly type: 'inspect'; readonly from: PeerId; readonly digest: Digest; readonly seat: Seat } & LeaseKey);

export interface HubStep {
  readonly records: readonly FactRecord[];
  readonly effects: readonly HubEffect[];
}
