/**
 * The volunteer's machine: asks for work, runs one unit at a time with a short queue behind it, delivers results, and
 * lets go at once when its owner pauses. The driver computes, hashes, signs receipts and owns the link.
 *
 * A lost link changes nothing about the work: the unit goes on and results are kept. Once linked again it says what it
 * still holds (`progress`) and delivers again every result that the hub has not settled; the hub takes what it can
 * still use and revokes the rest, so nothing needs to be remembered beyond this.
 */

import type { Digest, JobId } from '../core/ids.ts';
import type { DeviceDescription, Lease, LeaseKey, Message, MessageOf } from '../protocol/messages.ts';

export interface VolunteerOptions {
  readonly device: DeviceDescription;
  readonly programVersion: number;
  /** Units per second measured earlier, by program. */
  readonly speeds?: Readonly<Record<string, number>>;
}

export type VolunteerInput =
  | { readonly type: 'start' }
  /** Give back everything at once. `hidden`: the page cannot be seen and its owner wants no work then. */
  | { readonly type: 'pause'; readonly reason: 'paused' | 'hidden' }
  | { readonly type: 'resume' }
  /** For good: the tab closes. */
  | { readonly type: 'stop' }
  /** An authenticated link to the hub stands; `unlinked`: it is gone. */
  | { readonly type: 'linked' }
  | { readonly type: 'unlinked' }
  | { readonly type: 'message'; readonly message: Message }
  | { readonly type: 'computing'; readonly lease: LeaseKey; readonly done: number }
  | { readonly type: 'computed'; readonly lease: LeaseKey; readonly digest: Digest; readonly seconds: number }
  | { readonly type: 'compute-failed'; readonly lease: LeaseKey; readonly reason: string };

export type VolunteerEffect =
  | { readonly type: 'send'; readonly message: Message }
  /** Run this lease's unit; answer `computed` or `compute-failed` once, unless it is aborted. Keep the bytes. */
  | { readonly type: 'compute'; readonly lease: Lease }
  | { readonly type: 'abort'; readonly lease: LeaseKey }
  /** Send `result` with its signed receipt and the kept bytes as tail; may come again after a reconnect. */
  | { readonly type: 'deliver'; readonly lease: Lease; readonly digest: Digest; readonly seconds: number }
  /** The kept bytes of this attempt are no longer needed. */
  | { readonly type: 'drop'; readonly lease: LeaseKey; readonly digest: Digest }
  /** The hub speaks of programs that this tab does not have: load the page again. */
  | { readonly type: 'outdated'; readonly reason: string }
  /** `view()` shows something new. */
  | { readonly type: 'changed' };

export interface VolunteerView {
  readonly state: 'idle' | 'offline' | 'waiting' | 'computing' | 'paused' | 'stopped' | 'excluded';
  readonly job: JobId | undefined;
  readonly unit: number | undefined;
  readonly done: number;
  readonly queued: number;
  /** Units computed, and those of them that were found to agree, since the tab opened. */
  readonly computed: number;
  readonly agreed: number;
  readonly disagreed: number;
  /** Of the account, as the hub last said. */
  readonly credit: number;
  readonly standing: MessageOf<'standing'> | undefined;
  readonly speeds: Readonly<Record<string, number>>;
}

export interface VolunteerMachine {
  receive(input: VolunteerInput, now: number): readonly VolunteerEffect[];
  /** To be called about every `heartbeatMs`. */
  tick(now: number): readonly VolunteerEffect[];
  view(): VolunteerView;
}

export declare function createVolunteer(options: VolunteerOptions): VolunteerMachine;
