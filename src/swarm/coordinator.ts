/**
 * One job's coordinator: what all kinds of jobs share. It keeps the leases that are out, their deadlines, and the
 * fence around completions: only the peer to whom an attempt was lent may complete it, once. What is dealt to whom and
 * when a result counts differs by kind: `units.ts` for independent units, `training.ts` for rounds with seats.
 *
 * Every change of durable state is a fact, applied as it is recorded; everything else is rebuilt after a restart.
 */

import type { AccountId, Digest, JobId, PeerId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { Random } from '../core/prng.ts';
import { leaseMsMax } from '../core/limits.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { shortReason, type JobPhase, type JobState, type Lease } from '../protocol/messages.ts';
import type { LeaseKey, MessageOf } from '../protocol/messages.ts';
import {
  applyAttemptFact,
  isSharedBlock,
  accountsOf,
  failsEverywhere,
  mayReturn,
  troubleIn,
  type AttemptFact,
  type EndReason,
  type Unit,
  type UnitTable,
} from './attempts.ts';
import type { Earning } from './credit.ts';
import { queueEnd, type Member } from './pool.ts';
import { isDeviceAtFault } from '../protocol/failures.ts';
import { bindingBytesOf, fitsDevice, leaseMs, SpeedTable, speedClass, updateMean } from './scheduler.ts';
import { backoffMs } from './reputation.ts';
import type { HubEffect, SeatReport } from './step.ts';
import type { Artifact } from '../protocol/artifact.ts';

export type JobFact =
  | { readonly type: 'submitted'; readonly manifest: Manifest; readonly signature: string }
  | AttemptFact
  | { readonly type: 'finished'; readonly phase: 'done' | 'failed' | 'cancelled'; readonly reason: string | null };

/** The durable part that every job has. */
export interface JobRecord {
  readonly manifest: Manifest;
  readonly signature: string;
  phase: JobPhase;
  reason: string | null;
  readonly table: UnitTable;
}

/** A lease that is out. */
export interface OpenLease {
  readonly coordinator: Coordinator;
  readonly member: Member;
  readonly unit: number;
  readonly attempt: number;
  readonly leasedAt: number;
  readonly unitMs: number | undefined;
  /** When its result is expected, and when it is taken away. */
  expectedEnd: number;
  deadline: number;
}

/** What the hub does for its coordinators. */
export interface JobContext {
  readonly random: Random;
  readonly programVersion: number;
  member(peer: PeerId): Member | undefined;
  isExcluded(account: AccountId): boolean;
  record(job: JobId, fact: Json): void;
  effect(effect: HubEffect): void;
  /** Watches the lease's deadline. */
  watchDeadline(lease: OpenLease): void;
  judge(agreed: readonly AccountId[], disagreed: readonly AccountId[]): void;
  credit(earning: Earning): void;
  /** Results and parameters that are needed; what nobody holds any more is forgotten. */
  hold(digest: Digest): void;
  release(job: JobId, digest: Digest): void;
  /** There is something to deal that waiting volunteers may take. */
  workAppeared(): void;
  unitAccepted(coordinator: Coordinator, unit: number): void;
  stateChanged(coordinator: Coordinator, urgent: boolean): void;
  /** Volunteers that wait for work. */
  idleMembers(): Iterable<Member>;
  /** Everybody who is connected. */
  members(): Iterable<Member>;
}

export abstract class Coordinator {
  readonly job: JobId;
  readonly context: JobContext;
  readonly open = new Map<number, OpenLease>();
  protected readonly speeds = new SpeedTable();
  private readonly unitMsByPeer = new Map<PeerId, number>();
  /** Volunteers whose device said that it cannot run this job. */
  private readonly unable = new Set<PeerId>();
  private readonly bindingBytes: number;

  constructor(job: JobId, context: JobContext, manifest: Manifest) {
    this.job = job;
    this.context = context;
    this.bindingBytes = bindingBytesOf(manifest);
  }

  abstract readonly record: JobRecord;

  /** Rebuilds what is not durable from the state; after a restart asks again for what was under way. */
  abstract rebuild(restarted: boolean, now: number): void;
  /** Lends this volunteer what the plan says; returns how many leases. */
  abstract deal(member: Member, now: number): number;
  abstract tick(now: number): void;
  abstract snapshot(): Json;
  /** The result is in the table now; decide what it brings. */
  protected abstract resultCame(unit: number, attempt: number, now: number): void;
  /** A lease ended without a result, and the unit may need another. */
  protected abstract leaseGone(unit: number, why: EndReason, now: number): void;
  /** Whether another result for this unit would still be of use. */
  protected abstract isUseful(unit: number, attempt: number): boolean;
  /** A volunteer has left or was excluded. */
  abstract memberGone(member: Member, now: number): void;
  abstract dropAccount(account: AccountId, now: number): void;
  protected abstract finishing(now: number): void;
  abstract inspected(unit: number, attempt: number, report: SeatReport | string, now: number): void;
  abstract aggregated(round: number, seat: number | null, parameters: Artifact, now: number): void;
  abstract initialised(parameters: Artifact, now: number): void;
  abstract compared(unit: number, a: number, b: number, agree: boolean): void;

  get manifest(): Manifest {
    return this.record.manifest;
  }

  get isActive(): boolean {
    return this.record.phase === 'waiting' || this.record.phase === 'running';
  }

  /** Something could be lent, given the right volunteer. */
  abstract get hasWork(): boolean;

  state(): JobState {
    const { manifest, table, phase, reason } = this.record;
    return {
      type: 'job-state',
      job: this.job,
      name: manifest.name,
      program: manifest.program,
      state: phase,
      units: manifest.units,
      accepted: table.accepted,
      attempts: table.attempts,
      disagreements: table.disagreements,
      reason,
    };
  }

  /** Earlier states that say something which `state()` no longer does, for whoever watches late. */
  past(): readonly JobState[] {
    return [];
  }

  // Messages of volunteers

  /** Whether a result of this attempt from this volunteer would be taken now. */
  wants(member: Member, { unit, attempt }: Omit<LeaseKey, 'job'>): boolean {
    const record = this.attemptOf(member, unit, attempt);
    if (record === undefined) return false;
    return this.open.has(keyOf(unit, attempt)) || (mayReturn(record) && this.mayJoin(unit, attempt, member));
  }

  takeResult(member: Member, message: MessageOf<'result'>, receipt: Digest, now: number): void {
    const { unit, attempt, digest } = message;
    const record = this.attemptOf(member, unit, attempt);
    if (record === undefined) return this.settle(member, message, false, 0);
    if (!this.wants(member, message)) {
      // A copy after a reconnect, or a result that nobody waits for any more.
      const accepted = record.state === 'agreed';
      if (record.state !== 'done') this.settle(member, message, accepted, accepted ? this.manifest.price : 0);
      return;
    }
    const lease = this.open.get(keyOf(unit, attempt));
    if (lease !== undefined) {
      this.learn(member, now - Math.max(lease.leasedAt, member.lastReturn));
      this.close(lease);
    }
    member.lastReturn = now;
    if (this.manifest.program !== 'train') member.failuresInARow = 0;
    this.context.hold(digest);
    this.note({ type: 'result', unit, attempt, digest, receipt });
    this.resultCame(unit, attempt, now);
  }

  takeFailure(member: Member, unit: number, attempt: number, reason: string, now: number): void {
    const lease = this.open.get(keyOf(unit, attempt));
    if (lease === undefined || lease.member !== member) return;
    member.lastReturn = now;
    if (isDeviceAtFault(reason)) {
      this.unable.add(member.peer);
      this.end(lease, 'released', now);
      return;
    }
    slowDown(member, now);
    this.end(lease, 'failed', now);
    this.failIfHopeless(unit, reason, now);
  }

  takeProgress(member: Member, { unit, attempt }: LeaseKey, done: number, queueDeadline: number, now: number): number {
    const lease = this.open.get(keyOf(unit, attempt));
    if (lease === undefined || lease.member !== member) {
      this.resumeOrRevoke(member, unit, attempt, now);
      return queueDeadline;
    }
    if (done >= doneMin) {
      const startedAt = Math.max(lease.leasedAt, member.lastReturn);
      const rest = ((now - startedAt) * (1 - done)) / done;
      lease.expectedEnd = now + rest;
      lease.deadline = Math.max(lease.deadline, now + leaseMs(rest, undefined, 0));
    } else if (done === 0 && queueDeadline > 0) {
      lease.deadline = Math.max(lease.deadline, queueDeadline + leaseMs(lease.unitMs, this.unitSeconds, 0));
    }
    lease.deadline = Math.min(lease.deadline, lease.leasedAt + leaseMsMax);
    return lease.deadline;
  }

  releaseLease(member: Member, { unit, attempt }: LeaseKey, now: number): void {
    const lease = this.open.get(keyOf(unit, attempt));
    if (lease === undefined || lease.member !== member) return;
    // Each lease is a fact in the log for good: who only takes and gives back gets units more and more rarely.
    slowDown(member, now);
    this.end(lease, 'released', now);
  }

  /** The deadline has passed: the unit goes to somebody else, and the volunteer is told to stop. */
  expire(lease: OpenLease, now: number): void {
    slowDown(lease.member, now);
    this.revoke([lease]);
    this.end(lease, 'expired', now);
    this.failIfHopeless(lease.unit, 'it never finished in time', now);
  }

  /** Ends the job; leases still out are withdrawn. */
  finish(phase: 'done' | 'failed' | 'cancelled', reason: string | null, now: number): void {
    if (!this.isActive) return;
    this.finishing(now);
    this.note({ type: 'finished', phase, reason: reason === null ? null : shortReason(reason) });
    const leases = [...this.open.values()];
    this.revoke(leases);
    for (const lease of leases) this.end(lease, 'revoked', now);
    this.context.stateChanged(this, true);
  }

  // What the kinds build on

  /** Records a fact and applies it. */
  protected note(fact: JobFact): void {
    applyJobFact(this.record, fact);
    this.context.record(this.job, fact as Json);
  }

  protected get unitSeconds(): number {
    return this.manifest.limits.unitSeconds;
  }

  /** What a unit takes on this volunteer, seen here or, before that, told by itself. */
  protected unitMsOf(member: Member): number | undefined {
    const seen = this.unitMsByPeer.get(member.peer);
    if (seen !== undefined) return seen;
    const told = member.speeds[this.manifest.program];
    return told === undefined || told <= 0 ? undefined : 1000 / told;
  }

  protected canServe(member: Member): boolean {
    if (member.device === undefined || this.unable.has(member.peer)) return false;
    return fitsDevice(this.bindingBytes, member.device);
  }

  /** Lends these units; `more` adds what a training seat or a stage of a model needs to know. */
  protected lend(
    member: Member,
    units: readonly number[],
    now: number,
    more?: (unit: number) => Pick<Lease, 'seat' | 'stage'>,
  ): void {
    const unitMs = this.unitMsByPeer.get(member.peer);
    const estimate = this.unitMsOf(member) ?? this.unitSeconds * 1000;
    const pairs = units.map((unit) => [unit, (this.record.table.units[unit]?.attempts.length ?? 0) + 1] as const);
    const isFirst = this.record.phase === 'waiting';
    this.note({
      type: 'leased',
      peer: member.peer,
      account: member.account,
      block: member.block,
      deviceClass: member.device?.deviceClass ?? '',
      ...this.toldOf(member),
      units: pairs,
    });
    if (isFirst) this.context.stateChanged(this, true);
    let queue = queueEnd(member, now) - now;
    const leases: Lease[] = [];
    for (const [unit, attempt] of pairs) {
      const ms = leaseMs(unitMs, this.unitSeconds, queue);
      const lease: OpenLease = {
        coordinator: this,
        member,
        unit,
        attempt,
        leasedAt: now,
        unitMs,
        expectedEnd: now + queue + estimate,
        deadline: now + ms,
      };
      queue += estimate;
      this.opened(lease);
      leases.push({
        job: this.job,
        unit,
        attempt,
        seconds: ms / 1000,
        program: this.manifest.program,
        programVersion: this.context.programVersion,
        submitter: this.manifest.submitter,
        signature: this.record.signature,
        ...more?.(unit),
      });
    }
    member.slots = Math.max(0, member.slots - leases.length);
    member.lastJob = this.job;
    this.context.effect({ type: 'send', to: member.peer, message: { type: 'lease', leases } });
  }

  protected opened(lease: OpenLease): void {
    this.open.set(keyOf(lease.unit, lease.attempt), lease);
    lease.member.leases.add(lease);
    this.context.watchDeadline(lease);
  }

  protected close(lease: OpenLease): void {
    this.open.delete(keyOf(lease.unit, lease.attempt));
    lease.member.leases.delete(lease);
  }

  /** Takes a lease back without a result. */
  end(lease: OpenLease, why: EndReason, now: number): void {
    this.close(lease);
    this.note({ type: 'ended', unit: lease.unit, attempt: lease.attempt, why });
    if (this.isActive) this.leaseGone(lease.unit, why, now);
  }

  protected revoke(leases: readonly OpenLease[]): void {
    const byPeer = new Map<PeerId, LeaseKey[]>();
    for (const { member, unit, attempt } of leases) {
      const keys = byPeer.get(member.peer) ?? [];
      keys.push({ job: this.job, unit, attempt });
      byPeer.set(member.peer, keys);
    }
    for (const [to, keys] of byPeer) {
      for (let start = 0; start < keys.length; start += 64) {
        const message = { type: 'revoke', leases: keys.slice(start, start + 64) } as const;
        this.context.effect({ type: 'send', to, message });
      }
    }
  }

  protected settle(member: Member, { unit, attempt }: Omit<LeaseKey, 'job'>, agreed: boolean, credit: number): void {
    const message = { type: 'settled', job: this.job, unit, attempt, agreed, credit } as const;
    this.context.effect({ type: 'send', to: member.peer, message });
  }

  protected settlePeer(peer: PeerId, unit: number, attempt: number, agreed: boolean, credit: number): void {
    const member = this.context.member(peer);
    if (member !== undefined) this.settle(member, { unit, attempt }, agreed, credit);
  }

  /** Whether this volunteer's result may stand beside the others of the unit: an account and an address once each. */
  protected mayJoin(unit: number, own: number, member: Member): boolean {
    if (!this.isActive || !this.isUseful(unit, own)) return false;
    const record = this.record.table.units[unit];
    return record === undefined || record === null || !this.isClosed(record, member, own);
  }

  /** Whether the unit's other attempts leave no place for this volunteer. */
  protected isClosed(unit: Unit, member: Member, own: number): boolean {
    return isTaken(unit, member.account, member.block, own);
  }

  /** What a lease's fact tells of the volunteer beside its device class. */
  protected toldOf(_member: Member): { readonly numericClass?: string } {
    return {};
  }

  /** Forgets a volunteer's speed: it no longer counts in what the rest of the job will take. */
  protected forgetSpeed(member: Member): void {
    const unitMs = this.unitMsByPeer.get(member.peer);
    if (unitMs === undefined) return;
    this.unitMsByPeer.delete(member.peer);
    this.speeds.remove(unitMs);
  }

  private learn(member: Member, ms: number): void {
    const before = this.unitMsByPeer.get(member.peer);
    const after = updateMean(before, Math.max(1, ms));
    this.unitMsByPeer.set(member.peer, after);
    member.recentMs = after;
    if (before !== undefined && speedClass(before) === speedClass(after)) return;
    if (before !== undefined) this.speeds.remove(before);
    this.speeds.add(after);
  }

  /** The attempt, if it was lent to this very peer. */
  private attemptOf(member: Member, unit: number, attempt: number) {
    const record = this.record.table.units[unit]?.attempts[attempt - 1];
    return record !== undefined && record.peer === member.peer && record.account === member.account
      ? record
      : undefined;
  }

  /** A volunteer that is back says what it still works on. */
  private resumeOrRevoke(member: Member, unit: number, attempt: number, now: number): void {
    const record = this.attemptOf(member, unit, attempt);
    if (record === undefined || !mayReturn(record) || !this.mayJoin(unit, attempt, member) || !this.needsMore(unit)) {
      const leases = [{ job: this.job, unit, attempt }];
      this.context.effect({ type: 'send', to: member.peer, message: { type: 'revoke', leases } });
      return;
    }
    this.note({ type: 'resumed', unit, attempt });
    const estimate = this.unitMsOf(member) ?? this.unitSeconds * 1000;
    const unitMs = this.unitMsByPeer.get(member.peer);
    const queue = queueEnd(member, now) - now;
    const deadline = now + leaseMs(unitMs, this.unitSeconds, queue);
    this.opened({
      coordinator: this,
      member,
      unit,
      attempt,
      leasedAt: now,
      unitMs,
      expectedEnd: now + queue + estimate,
      deadline,
    });
    this.resumed(unit);
  }

  /** Whether a lease of this unit more would be dealt now. */
  protected abstract needsMore(unit: number): boolean;
  protected abstract resumed(unit: number): void;

  private failIfHopeless(unit: number, reason: string, now: number): void {
    if (!this.isActive || !this.isHopeless(unit)) return;
    const troubled = accountsOf(troubleIn(this.record.table.units[unit]));
    this.finish('failed', `unit ${unit} failed on ${troubled} volunteers: ${reason}`, now);
  }

  /** Whether what became of the unit's attempts speaks against the job. */
  protected isHopeless(unit: number): boolean {
    return failsEverywhere(this.record.table.units[unit]);
  }
}

/** A volunteer on which nothing succeeds gets work more and more rarely. */
export function slowDown(member: Member, now: number): void {
  member.failuresInARow++;
  member.backoffUntil = now + backoffMs(member.failuresInARow);
}

/** Below this share done, what is left cannot be estimated from what is done. */
const doneMin = 0.05;

/** Attempts of one unit stay far below this. */
const attemptsMax = 65_536;
export const keyOf = (unit: number, attempt: number): number => unit * attemptsMax + attempt;

/** Whether an attempt other than `own` of the same account or address block stands, or may no longer be repeated. */
export function isTaken(unit: Unit, account: AccountId, block: string, own: number): boolean {
  for (let index = 0; index < unit.attempts.length; index++) {
    const other = unit.attempts[index];
    if (other === undefined || index + 1 === own) continue;
    const stands = other.state === 'open' || other.state === 'done';
    // Nobody gets a unit again that failed on them, or in which their result was thrown out.
    const spent = other.state === 'failed' || other.state === 'dropped';
    if ((stands || spent) && other.account === account) return true;
    if (stands && isSharedBlock(other.block, block)) return true;
  }
  return false;
}

export function applyJobFact(record: JobRecord, fact: JobFact): void {
  switch (fact.type) {
    case 'submitted':
      return;
    case 'finished':
      record.phase = fact.phase;
      record.reason = fact.reason;
      return;
    case 'leased':
      if (record.phase === 'waiting') record.phase = 'running';
      applyAttemptFact(record.table, fact);
      return;
    default:
      applyAttemptFact(record.table, fact);
  }
}
