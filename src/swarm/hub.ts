/**
 * The hub's machine: one pool of volunteers and one coordinator per job, behind one synchronous door. It decides and
 * records; it never touches a socket, a clock or a disk. `assembly` drives it: input in, facts committed, effects done.
 * A step's facts are durable before its effects leave, so a hub that dies at any moment can be rebuilt by `restoreHub`
 * from its streams and no peer was ever told something that the log does not know.
 */

import type { Json } from '../core/json.ts';
import type { AccountId, JobId, PeerId } from '../core/ids.ts';
import type { Random } from '../core/prng.ts';
import type { DeviceDescription, JobState, Role } from '../protocol/messages.ts';
import type { HubInput, HubStep } from './step.ts';
import type { LedgerEntry } from './credit.ts';

export interface HubOptions {
  readonly random: Random;
  /** What leases ask for: `programSetVersion` unless a test says otherwise. */
  readonly programVersion?: number;
}

export interface HubMachine {
  receive(input: HubInput, now: number): HubStep;
  /** To be called about every `heartbeatMs`; does what time alone brings about. */
  tick(now: number): HubStep;
  /** A stream's durable state (`pool` or a job's id), equal to the fold of its facts; for `Store.snapshot`. */
  snapshot(stream: string): Json;
  streams(): readonly string[];
  view(): HubView;
}

/** What a dashboard, the CLI and metrics show. */
export interface HubView {
  readonly volunteers: readonly VolunteerView[];
  readonly jobs: readonly JobState[];
  readonly accounts: readonly AccountView[];
  readonly ledger: readonly LedgerEntry[];
  readonly draining: boolean;
}

export interface VolunteerView {
  readonly peer: PeerId;
  readonly account: AccountId;
  readonly role: Role;
  readonly addressBlock: string;
  readonly device: DeviceDescription | undefined;
  readonly leases: number;
  readonly job: JobId | undefined;
}

export interface AccountView {
  readonly account: AccountId;
  readonly agreed: number;
  readonly disagreed: number;
  readonly excluded: boolean;
  readonly units: number;
  readonly credit: number;
}

/** One stream as `Store.load` returns it. */
export interface LoadedStream {
  readonly stream: string;
  readonly snapshot: Json | undefined;
  readonly facts: readonly Json[];
}

export declare function createHub(options: HubOptions): HubMachine;
/**
 * The hub that these streams describe. Leases that were open are void and their units are dealt again, yet a volunteer
 * that comes back with the result of such an attempt has it taken while the unit still needs it. The returned step's
 * records and effects (pending comparisons, inspections, aggregations) are to be handled like any other.
 */
export declare function restoreHub(
  options: HubOptions,
  streams: readonly LoadedStream[],
  now: number,
): { readonly hub: HubMachine; readonly step: HubStep };
