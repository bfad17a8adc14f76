/**
 * The coordinator of a training job: rounds of low-communication training with a fixed number of seats. A seat is a
 * lease renewed each round; unit `round * workers + seat` is that seat's work in that round. A round closes when every
 * seat has contributed, or when its deadline has passed or its empty seats find nobody and at least one has; only real
 * contributors enter the outer step (`algorithms.md` 2.1: divide by those who contributed). A tab that closes therefore
 * costs at most its own contribution. The last round has no steps: its seats load the final parameters, report their
 * digest, and seat 0 measures the validation loss. With method `solo` every seat is a chain of its own.
 *
 * Here it is decided what happens next. The state and its facts are `training-record.ts`, who sits where is
 * `training-seats.ts`, how long a round may take `training-clock.ts`, what a manifest must keep to `training-manifest.ts`.
 */

import { present } from '../core/assert.ts';
import type { AccountId, Digest, JobId, PeerId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { JobState } from '../protocol/messages.ts';
import { attemptAt, type EndReason } from './attempts.ts';
import { Coordinator, keyOf, slowDown, type JobContext } from './coordinator.ts';
import { structuredCopy, type Member } from './pool.ts';
import type { SeatReport } from './step.ts';
import { RoundClock } from './training-clock.ts';
import {
  applyTrainFact,
  contributionsOf,
  describeSeat,
  isInspecting,
  isLastRound,
  isSolo,
  newestOf,
  roundOfUnit,
  seatAt,
  unitOf,
  type TrainFact,
  type TrainRecord,
} from './training-record.ts';
import { Seats } from './training-seats.ts';

export {
  applyTrainFact,
  newTrainRecord,
  restoreTrainRecord,
  type TrainFact,
  type TrainRecord,
} from './training-record.ts';

export class TrainingCoordinator extends Coordinator {
  readonly record: TrainRecord;
  private readonly seats: Seats;
  private readonly clock: RoundClock;
  private started = false;

  constructor(job: JobId, context: JobContext, record: TrainRecord) {
    super(job, context, record.manifest);
    this.record = record;
    this.seats = new Seats(record, this, (unit) => this.needsMore(unit));
    this.clock = new RoundClock(record.manifest.limits.unitSeconds);
  }

  get hasWork(): boolean {
    return this.isActive && this.record.stage === 'training';
  }

  override state(): JobState {
    const newest = newestOf(this.record);
    const { report } = this.record;
    return {
      ...super.state(),
      ...(newest === undefined ? {} : { round: newest }),
      ...(report === null ? {} : { report }),
    };
  }

  /** One state for each round before the newest. */
  override past(): JobState[] {
    const now = super.state();
    return this.record.reports.slice(0, -1).map((round) => ({ ...now, state: 'running', reason: null, round }));
  }

  rebuild(restarted: boolean, now: number): void {
    this.clock.begin(now);
    this.seats.restarted(now);
    for (const { chunks } of this.record.parameters) for (const chunk of chunks) this.context.hold(chunk);
    if (!this.isActive) return;
    if (restarted && this.record.table.units.some((unit) => unit?.attempts.some(({ state }) => state === 'open'))) {
      this.note({ type: 'restarted' });
    }
    this.started = this.record.round > 0;
    if (this.record.stage === 'initialising') this.context.effect({ type: 'initialise', job: this.job });
    for (let seat = 0; seat < this.workers; seat++) {
      const unit = unitOf(this.record, seat);
      for (const attempt of this.record.table.units[unit]?.results ?? []) {
        const { peer, digest, state } = attemptAt(this.record.table, unit, attempt);
        if (digest === undefined || (state !== 'done' && state !== 'agreed')) continue;
        this.context.hold(digest);
        if (state === 'done') this.askInspection(unit, attempt, peer, digest);
      }
    }
    if (this.record.stage === 'aggregating') this.askAggregation();
    else this.closeIfDone(now);
  }

  deal(member: Member, now: number): number {
    if (!this.hasWork || member.slots === 0 || !this.canServe(member)) return 0;
    if (!this.started) {
      this.seats.gather(member, now);
      this.startIfReady(now);
      if (!this.started) return 0;
      if (this.seats.seated().includes(member)) return 1;
    }
    const seat = this.seats.seatFor(member);
    if (seat === undefined) return 0;
    this.seats.sit(seat, member);
    const { peer } = seatAt(this.record, seat);
    const fresh = peer !== member.peer;
    this.lend(member, [unitOf(this.record, seat)], now, () => ({ seat: describeSeat(this.record, seat, fresh) }));
    return 1;
  }

  tick(now: number): void {
    if (!this.hasWork) return;
    if (!this.started) this.startIfReady(now);
    this.closeIfDone(now);
  }

  memberGone(member: Member, now: number): void {
    this.seats.withdraw(member);
    this.forgetSpeed(member);
    for (const lease of [...member.leases]) if (lease.coordinator === this) this.end(lease, 'lost', now);
    this.seats.vacate(member, now);
    this.closeIfDone(now);
  }

  /** Training results are not compared, so an excluded account loses its seat and nothing else. */
  dropAccount(account: AccountId, now: number): void {
    const leases = [...this.open.values()].filter(({ member }) => member.account === account);
    this.revoke(leases);
    for (const lease of leases) this.end(lease, 'revoked', now);
    for (const holder of this.seats.seated()) if (holder.account === account) this.seats.vacate(holder, now);
  }

  initialised(parameters: Artifact, now: number): void {
    if (!this.isActive || this.record.stage !== 'initialising') return;
    this.note({ type: 'initialised', parameters });
    for (const { chunks } of this.record.parameters) for (const chunk of chunks) this.context.hold(chunk);
    this.clock.begin(now);
    this.context.workAppeared();
  }

  inspected(unit: number, attempt: number, report: SeatReport | string, now: number): void {
    const result = this.record.table.units[unit]?.attempts[attempt - 1];
    if (!this.isActive || result?.state !== 'done') return;
    const isUseful = this.isUseful(unit);
    if (typeof report === 'string' || !isUseful) {
      this.note({ type: 'dropped', unit, attempt });
      if (result.digest !== undefined) this.context.release(this.job, result.digest);
      this.settlePeer(result.peer, unit, attempt, false, 0);
      const holder = this.seats.holder(unit % this.workers);
      // A report that came after its round speaks of what nobody asks any more; that is no fault.
      if (holder?.peer === result.peer && typeof report === 'string' && isUseful) {
        slowDown(holder, now);
        this.seats.vacate(holder, now);
      }
      this.context.workAppeared();
    } else {
      this.note({ type: 'contributed', unit, attempt, report });
      const { job, manifest } = this;
      this.context.credit({ account: result.account, job, unit, attempt, credit: manifest.price });
      this.settlePeer(result.peer, unit, attempt, true, this.manifest.price);
      const member = this.context.member(result.peer);
      if (member !== undefined) member.failuresInARow = 0;
      this.clock.contributed(now);
      this.context.stateChanged(this, false);
    }
    this.closeIfDone(now);
  }

  aggregated(round: number, seat: number | null, parameters: Artifact, now: number): void {
    const { record } = this;
    const index = seat ?? 0;
    const expected = isSolo(record) ? record.seats[index]?.aggregating === true : seat === null;
    if (!this.isActive || record.stage !== 'aggregating' || round !== record.round || !expected) return;
    const before = record.parameters[index];
    const results = contributionsOf(this.record);
    this.note({ type: 'aggregated', round, seat: index, parameters });
    for (const chunk of parameters.chunks) this.context.hold(chunk);
    for (const chunk of before?.chunks ?? []) this.context.release(this.job, chunk);
    if (this.record.stage === 'aggregating') return;
    for (const { result } of results) this.context.release(this.job, result);
    this.clock.next(now);
    // Seats whose volunteers ask for work already go on at once; the others when they ask.
    for (const holder of this.seats.seated()) if (holder.slots > 0) this.deal(holder, now);
    this.context.workAppeared();
  }

  compared(): void {}

  snapshot(): Json {
    return structuredCopy(this.record) as Json;
  }

  protected resultCame(unit: number, attempt: number): void {
    const { peer, digest } = attemptAt(this.record.table, unit, attempt);
    if (digest !== undefined) this.askInspection(unit, attempt, peer, digest);
  }

  /** With what the seat was lent, for the report to be held against. */
  private askInspection(unit: number, attempt: number, from: PeerId, digest: Digest): void {
    const seat = describeSeat(this.record, unit % this.workers, false);
    this.context.effect({ type: 'inspect', job: this.job, unit, attempt, from, digest, seat });
  }

  protected leaseGone(unit: number, why: EndReason, now: number): void {
    const holder = this.seats.holder(unit % this.workers);
    // A round that closed without this seat does not take it away.
    if (holder !== undefined && why !== 'revoked') this.seats.vacate(holder, now);
    if (this.record.stage === 'training' && roundOfUnit(this.record, unit) === this.record.round) {
      this.context.workAppeared();
      this.closeIfDone(now);
    }
  }

  protected isUseful(unit: number): boolean {
    return (
      this.record.stage === 'training' &&
      roundOfUnit(this.record, unit) === this.record.round &&
      seatAt(this.record, unit % this.workers).report === null
    );
  }

  protected needsMore(unit: number): boolean {
    return this.isUseful(unit) && !this.isOut(unit) && !isInspecting(this.record, unit);
  }

  protected resumed(unit: number): void {
    for (const lease of this.open.values()) {
      if (lease.unit !== unit) continue;
      this.seats.sit(unit % this.workers, lease.member);
    }
  }

  protected finishing(now: number): void {
    for (const { result } of contributionsOf(this.record)) this.context.release(this.job, result);
    for (let seat = 0; seat < this.workers; seat++) {
      for (const { state, digest } of this.record.table.units[unitOf(this.record, seat)]?.attempts ?? [])
        if (state === 'done' && digest !== undefined) this.context.release(this.job, digest);
    }
    for (const holder of this.seats.seated()) this.seats.vacate(holder, now);
    this.seats.dismiss();
  }

  // Rounds

  private get workers(): number {
    return this.record.seats.length;
  }

  private startIfReady(now: number): void {
    if (!this.seats.isReady(now)) return;
    this.started = true;
    this.clock.begin(now);
    // Who came first sits first: seat 0 is the one that evaluates.
    for (const member of this.seats.gathered()) this.deal(member, now);
    this.seats.dismiss();
  }

  private isOut(unit: number): boolean {
    const attempts = this.record.table.units[unit]?.attempts.length ?? 0;
    for (let attempt = 1; attempt <= attempts; attempt++) if (this.open.has(keyOf(unit, attempt))) return true;
    return false;
  }

  private closeIfDone(now: number): void {
    if (!this.isActive || this.record.stage !== 'training' || !this.isComplete(now)) return;
    const { round } = this.record;
    const late = [...this.open.values()];
    this.note({ type: 'round-closed', round });
    this.context.stateChanged(this, true);
    if (isLastRound(this.record)) return this.finish('done', null, now);
    this.revoke(late);
    for (const lease of late) this.end(lease, 'revoked', now);
    this.askAggregation();
  }

  /** Rules in order of priority; the first that applies decides whether the round may close. */
  private isComplete(now: number): boolean {
    const missing: number[] = [];
    for (let seat = 0; seat < this.workers; seat++) {
      if (seatAt(this.record, seat).report !== null) continue;
      if (isInspecting(this.record, unitOf(this.record, seat))) return false;
      missing.push(seat);
    }
    if (missing.length === 0) return true;
    if (missing.length === this.workers) return false;
    if (isLastRound(this.record) && missing.includes(0)) return false;
    const { idle, steady } = this.clock.deadlines(1 - missing.length / this.workers);
    if (now > idle) return !missing.some((seat) => this.isOnItsWay(seat, steady, now));
    if (missing.some((seat) => this.isOut(unitOf(this.record, seat)) || this.seats.holder(seat) !== undefined))
      return false;
    return this.seats.isGivenUp(now) && !this.hasSuccessor();
  }

  /** A slow seat that reports progress and will be done before long is waited for, or it would never contribute. */
  private isOnItsWay(seat: number, latest: number, now: number): boolean {
    const unit = unitOf(this.record, seat);
    if (now > latest) return false;
    for (const lease of this.open.values()) {
      if (lease.unit === unit) return lease.expectedEnd > now && lease.expectedEnd <= latest;
    }
    return false;
  }

  /** Whether somebody who waits for work could take an empty seat. */
  private hasSuccessor(): boolean {
    const seated = new Set(this.seats.seated().map(({ account }) => account));
    for (const member of this.context.idleMembers()) {
      if (member.seatOf === undefined && !seated.has(member.account) && !this.context.isExcluded(member.account)) {
        if (this.canServe(member)) return true;
      }
    }
    return false;
  }

  private askAggregation(): void {
    const { round, parameters } = this.record;
    const contributions = contributionsOf(this.record);
    if (!isSolo(this.record)) {
      const start = present(parameters[0], 'a round begins with parameters');
      this.context.effect({ type: 'aggregate', job: this.job, round, seat: null, parameters: start, contributions });
      return;
    }
    for (const contribution of contributions) {
      const { seat } = contribution;
      if (!seatAt(this.record, seat).aggregating) continue;
      const own = present(parameters[seat], 'a seat has parameters');
      const effect = { type: 'aggregate', job: this.job, round, seat, parameters: own } as const;
      this.context.effect({ ...effect, contributions: [contribution] });
    }
  }

  protected override note(fact: TrainFact): void {
    applyTrainFact(this.record, fact);
    this.context.record(this.job, fact as Json);
  }
}
