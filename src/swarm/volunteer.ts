/**
 * The volunteer's machine: asks for work, runs one unit at a time with a short queue behind it, delivers results, and
 * lets go at once when its owner pauses. The driver computes, hashes, signs receipts and owns the link.
 *
 * A lost link changes nothing about the work: the unit goes on and results are kept. Once linked again it says what it
 * still holds (`progress`) and delivers again every result that the hub has not settled; the hub takes what it can
 * still use and revokes the rest, so nothing needs to be remembered beyond this.
 */

import type { Digest, JobId } from '../core/ids.ts';
import { heartbeatMs, leasesPerMessageMax } from '../core/limits.ts';
import type { DeviceDescription, Lease, LeaseKey, Message, MessageOf } from '../protocol/messages.ts';
import { updateMean } from './scheduler.ts';

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
  | { readonly type: 'compute-failed'; readonly lease: LeaseKey; readonly reason: string }
  /** The device is another than before: it was lost, and what can be lent now is less. */
  | { readonly type: 'device'; readonly device: DeviceDescription };

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

export function createVolunteer(options: VolunteerOptions): VolunteerMachine {
  return new Volunteer(options);
}

/** Work kept ready behind the running unit: so much time of it, and at least one unit. */
const queueMsWanted = 1_000;
/** Results kept until the hub has settled them, to be delivered again after a reconnect; older ones are let go. */
const resultsKeptMax = 8;

interface KeptResult {
  readonly lease: Lease;
  readonly digest: Digest;
  readonly seconds: number;
}

const isSame = (a: LeaseKey, b: LeaseKey): boolean => a.unit === b.unit && a.attempt === b.attempt && a.job === b.job;
const keyOf = ({ job, unit, attempt }: LeaseKey): LeaseKey => ({ job, unit, attempt });

class Volunteer implements VolunteerMachine {
  private readonly options: VolunteerOptions;
  private device: DeviceDescription;
  private started = false;
  private paused = false;
  private stopped = false;
  private linked = false;
  private outdated = false;
  private running: Lease | undefined;
  private done = 0;
  private queue: Lease[] = [];
  private kept: KeptResult[] = [];
  private readonly msByProgram = new Map<string, number>();
  private computed = 0;
  private agreed = 0;
  private disagreed = 0;
  private standing: MessageOf<'standing'> | undefined;
  private lastProgress = 0;
  private effects: VolunteerEffect[] = [];

  constructor(options: VolunteerOptions) {
    this.options = options;
    this.device = options.device;
    for (const [program, speed] of Object.entries(options.speeds ?? {})) {
      if (speed > 0) this.msByProgram.set(program, 1000 / speed);
    }
  }

  receive(input: VolunteerInput, now: number): readonly VolunteerEffect[] {
    this.handle(input, now);
    return this.takeEffects();
  }

  tick(now: number): readonly VolunteerEffect[] {
    if (this.linked && this.running !== undefined && now - this.lastProgress >= heartbeatMs) this.sendProgress(now);
    return this.takeEffects();
  }

  view(): VolunteerView {
    return {
      state: this.state(),
      job: this.running?.job,
      unit: this.running?.unit,
      done: this.done,
      queued: this.queue.length,
      computed: this.computed,
      agreed: this.agreed,
      disagreed: this.disagreed,
      credit: this.standing?.credit ?? 0,
      standing: this.standing,
      speeds: this.speeds(),
    };
  }

  private handle(input: VolunteerInput, now: number): void {
    switch (input.type) {
      case 'start':
        this.started = true;
        return this.introduce(now);
      case 'pause':
        this.paused = true;
        return this.letGo(input.reason);
      case 'resume':
        this.paused = false;
        return this.pull();
      case 'stop':
        this.letGo('closing');
        this.stopped = true;
        return;
      case 'linked':
        this.linked = true;
        return this.introduce(now);
      case 'unlinked':
        this.linked = false;
        return this.changed();
      case 'message':
        return this.handleMessage(input.message);
      case 'computing':
        if (this.running !== undefined && isSame(this.running, input.lease)) this.done = input.done;
        return;
      case 'computed':
        return this.finish(input);
      case 'compute-failed':
        return this.fail(input.lease, input.reason);
      case 'device':
        this.device = input.device;
        return this.showDevice();
    }
  }

  private handleMessage(message: Message): void {
    switch (message.type) {
      case 'lease':
        return this.takeLeases(message.leases);
      case 'revoke':
        for (const key of message.leases) this.dropLease(key);
        this.startNext();
        return this.pull();
      case 'settled': {
        this.forget(message);
        if (message.agreed) this.agreed++;
        else this.disagreed++;
        return this.changed();
      }
      case 'standing': {
        const wasExcluded = this.standing?.excluded === true;
        this.standing = message;
        if (message.excluded && !wasExcluded) this.letGo('refused');
        return this.changed();
      }
      default:
    }
  }

  /** On a new link: what I am, what I still hold, what I have finished, and what I can take. */
  private introduce(now: number): void {
    if (!this.linked || !this.started || this.stopped) return;
    this.showDevice();
    if (this.running !== undefined) this.sendProgress(now);
    for (const { lease, digest, seconds } of this.kept) this.effects.push({ type: 'deliver', lease, digest, seconds });
    this.pull();
    this.changed();
  }

  private showDevice(): void {
    if (!this.linked || !this.started || this.stopped) return;
    this.send({ type: 'ready', device: this.device, speeds: this.speeds() });
  }

  private takeLeases(leases: readonly Lease[]): void {
    const refused: LeaseKey[] = [];
    for (const lease of leases) {
      if (lease.programVersion !== this.options.programVersion) {
        refused.push(keyOf(lease));
        this.becomeOutdated(lease);
      } else if (!this.isWilling()) {
        refused.push(keyOf(lease));
      } else if (!this.holds(lease)) {
        this.queue.push(lease);
      }
    }
    if (refused.length > 0) this.release(refused, this.paused ? 'paused' : 'refused');
    this.startNext();
  }

  private finish({ lease: key, digest, seconds }: Extract<VolunteerInput, { type: 'computed' }>): void {
    const lease = this.running;
    // The lease was withdrawn while its last bytes were on their way.
    if (lease === undefined || !isSame(lease, key)) {
      this.effects.push({ type: 'drop', lease: key, digest });
      return;
    }
    this.running = undefined;
    this.computed++;
    this.msByProgram.set(lease.program, updateMean(this.msByProgram.get(lease.program), Math.max(1, seconds * 1000)));
    this.kept.push({ lease, digest, seconds });
    if (this.linked) this.effects.push({ type: 'deliver', lease, digest, seconds });
    const oldest = this.kept[0];
    if (this.kept.length > resultsKeptMax && oldest !== undefined) this.forget(oldest.lease);
    this.startNext();
    this.pull();
  }

  private fail(key: LeaseKey, reason: string): void {
    if (this.running === undefined || !isSame(this.running, key)) return;
    this.running = undefined;
    this.send({ type: 'failed', ...keyOf(key), reason: reason.slice(0, 4000) });
    this.startNext();
    this.pull();
  }

  private startNext(): void {
    if (this.running !== undefined || !this.isWilling()) return;
    const lease = this.queue.shift();
    this.running = lease;
    this.done = 0;
    if (lease !== undefined) this.effects.push({ type: 'compute', lease });
    this.changed();
  }

  /** Says how many leases fit behind what is here. */
  private pull(): void {
    if (!this.isWilling()) return;
    const held = this.queue.length + (this.running === undefined ? 0 : 1);
    this.send({ type: 'pull', slots: Math.max(0, this.leasesWanted() - held) });
  }

  private leasesWanted(): number {
    const program = this.running?.program ?? this.queue[0]?.program;
    const unitMs = program === undefined ? undefined : this.msByProgram.get(program);
    const behind = unitMs === undefined ? 1 : Math.ceil(queueMsWanted / unitMs);
    return Math.min(leasesPerMessageMax, 1 + Math.max(1, behind));
  }

  /** Gives back everything that is not finished. */
  private letGo(reason: 'paused' | 'hidden' | 'closing' | 'refused'): void {
    const leases = this.running === undefined ? this.queue : [this.running, ...this.queue];
    if (this.running !== undefined) this.effects.push({ type: 'abort', lease: keyOf(this.running) });
    this.running = undefined;
    this.queue = [];
    // Sent even when empty: it also withdraws the standing demand.
    this.release(leases.map(keyOf), reason);
    this.changed();
  }

  private release(leases: LeaseKey[], reason: 'paused' | 'hidden' | 'closing' | 'refused'): void {
    this.send({ type: 'release', leases, reason });
  }

  private dropLease(key: LeaseKey): void {
    if (this.running !== undefined && isSame(this.running, key)) {
      this.effects.push({ type: 'abort', lease: keyOf(key) });
      this.running = undefined;
    }
    this.queue = this.queue.filter((lease) => !isSame(lease, key));
    this.forget(key);
  }

  private forget(key: LeaseKey): void {
    this.kept = this.kept.filter(({ lease, digest }) => {
      if (!isSame(lease, key)) return true;
      this.effects.push({ type: 'drop', lease: keyOf(key), digest });
      return false;
    });
  }

  private becomeOutdated(lease: Lease): void {
    if (this.outdated) return;
    this.outdated = true;
    const reason = `the hub asks for programs of version ${lease.programVersion}, this tab has ${this.options.programVersion}`;
    this.effects.push({ type: 'outdated', reason });
  }

  private sendProgress(now: number): void {
    this.lastProgress = now;
    if (this.running === undefined) return;
    const queued = this.queue.slice(0, leasesPerMessageMax - 1).map((lease) => ({ ...keyOf(lease), done: 0 }));
    this.send({ type: 'progress', leases: [{ ...keyOf(this.running), done: this.done }, ...queued] });
  }

  private holds(lease: LeaseKey): boolean {
    if (this.running !== undefined && isSame(this.running, lease)) return true;
    return this.queue.some((other) => isSame(other, lease)) || this.kept.some((kept) => isSame(kept.lease, lease));
  }

  private isWilling(): boolean {
    return this.started && !this.paused && !this.stopped && !this.outdated && this.standing?.excluded !== true;
  }

  private state(): VolunteerView['state'] {
    if (this.stopped) return 'stopped';
    if (!this.started) return 'idle';
    if (this.standing?.excluded === true) return 'excluded';
    if (this.paused) return 'paused';
    if (this.running !== undefined) return 'computing';
    return this.linked ? 'waiting' : 'offline';
  }

  private speeds(): Record<string, number> {
    return Object.fromEntries([...this.msByProgram].map(([program, ms]) => [program, 1000 / ms]));
  }

  private send(message: Message): void {
    if (this.linked) this.effects.push({ type: 'send', message });
  }

  private changed(): void {
    if (this.effects.at(-1)?.type !== 'changed') this.effects.push({ type: 'changed' });
  }

  private takeEffects(): readonly VolunteerEffect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }
}
