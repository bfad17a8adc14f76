/**
 * The coordinator of a job of independent units (`shader`, `generate`): deals attempts until every unit has a quorum,
 * deals again what was lost, and near the end lends the slowest outstanding units a second time to idle fast volunteers.
 */

import type { AccountId, JobId } from '../core/ids.ts';
import { leasesPerMessageMax } from '../core/limits.ts';
import type { Json } from '../core/json.ts';
import type { JobState } from '../protocol/messages.ts';
import { attemptAt, unitAt, type Attempt, type Unit, type UnitTable } from './attempts.ts';
import { Deque } from './collections.ts';
import { Coordinator, keyOf, type JobContext, type JobRecord, type OpenLease } from './coordinator.ts';
import { comparesBits, NumericClasses, numericClassOf } from './numeric-classes.ts';
import { queueEnd, structuredCopy, type Member } from './pool.ts';
import { decideQuorum, type Agreement, type QuorumResult } from './quorum.ts';
import { planBatch } from './scheduler.ts';
import { applyUnitsFact, type UnitsFact } from './units-record.ts';

/** Units looked at for one volunteer before they go to the back of the queue. */
const scanMax = 64;
/** A second opinion is picked among this many waiting units, so that a pair of liars cannot arrange to meet. */
const shuffleMax = 8;

/** A copy must be expected in a fraction of the time that the original still takes. */
const copyMargin = 1.5;
/** Only those who finish within a few times what the rest of the job should take get copies, */
const copyHorizons = 3;
/** and a unit gets at most so many beyond what its quorum needs. */
const copiesMax = 2;

export class UnitsCoordinator extends Coordinator {
  readonly record: JobRecord;
  private readonly replicas: number;
  /** Results that each unit still needs, if what is out or undecided turns out well; and the leases that are out. */
  private readonly wanted: Uint8Array;
  private readonly out: Uint8Array;
  private readonly queued: Uint8Array;
  /** Units to deal again, units that wait for further opinions, and the first that nobody had yet. */
  private readonly urgent = new Deque<number>();
  private readonly partial = new Deque<number>();
  private fresh = 0;
  /** Attempts to deal: the sum of what units want beyond what is out. */
  private undealt = 0;
  /** Units with results but without a decision. */
  private readonly undecided = new Set<number>();
  /** Leases that others may run too, the worst last; made anew by each tick. */
  private laggards: OpenLease[] = [];
  private readonly waitingSince = new Map<Member, number>();
  /** Present where results are compared bit for bit. */
  private readonly classes: NumericClasses | undefined;
  private obstacle: string | undefined;

  constructor(job: JobId, context: JobContext, record: JobRecord) {
    super(job, context, record.manifest);
    this.record = record;
    this.replicas = record.manifest.verify.replicas;
    this.wanted = new Uint8Array(record.manifest.units).fill(this.replicas);
    this.out = new Uint8Array(record.manifest.units);
    this.queued = new Uint8Array(record.manifest.units);
    this.undealt = this.replicas * record.manifest.units;
    if (comparesBits(record.manifest)) {
      this.classes = new NumericClasses(this.replicas, context.members, (member) => this.canServe(member));
    }
  }

  get table(): UnitTable {
    return this.record.table;
  }

  get hasWork(): boolean {
    return this.isActive && (this.undealt > 0 || this.laggards.length > 0);
  }

  override state(): JobState {
    return this.isActive && this.obstacle !== undefined ? { ...super.state(), reason: this.obstacle } : super.state();
  }

  rebuild(restarted: boolean): void {
    if (
      restarted &&
      this.isActive &&
      this.table.units.some((unit) => unit?.attempts.some(({ state }) => state === 'open'))
    ) {
      this.note({ type: 'restarted' });
    }
    for (let index = 0; index < this.table.units.length; index++) {
      const unit = this.table.units[index];
      if (unit === null || unit === undefined) continue;
      this.holdDigests(unit);
      if (!this.isActive) continue;
      if (unit.results.length > 0 && unit.accepted === 0) {
        this.undecided.add(index);
        this.askComparisons(index, unit, 0);
      }
      this.want(index, this.countWanted(unit));
      this.enqueue(index, this.partial);
    }
    for (const index of this.undecided) this.decide(index, 0);
    if (this.isActive && this.table.accepted === this.table.units.length) this.finish('done', null, 0);
  }

  deal(member: Member, now: number): number {
    if (!this.isActive || !this.canServe(member)) return 0;
    if (this.undealt === 0) return this.dealAgain(member, now);
    const count = planBatch({
      slots: Math.min(member.slots, leasesPerMessageMax - member.leases.size),
      held: member.leases.size,
      undealt: this.undealt,
      unitMs: this.unitMsOf(member),
      queueMs: queueEnd(member, now) - now,
      horizonMs: this.speeds.horizonMs(this.undealt + this.open.size),
      waitedMs: this.waited(member, now),
    });
    if (count === 0) return 0;
    const units = this.pick(member, count, now);
    if (units.length === 0) return 0;
    this.waitingSince.delete(member);
    this.lend(member, units, now);
    return units.length;
  }

  tick(now: number): void {
    this.laggards = [];
    if (this.isActive && this.classes !== undefined) this.tickClasses(this.classes, now);
    if (!this.isActive || this.undealt > 0) return;
    for (const lease of this.open.values()) {
      lease.expectedEnd = Math.max(lease.expectedEnd, now + (now - lease.leasedAt) / 8);
      this.laggards.push(lease);
    }
    this.laggards.sort((a, b) => a.expectedEnd - b.expectedEnd);
    if (this.laggards.length > 0) this.context.workAppeared();
  }

  compared(unit: number, a: number, b: number, agree: boolean): void {
    const record = this.table.units[unit];
    if (!this.isActive || !record || record.accepted !== 0 || comparisonOf(record, a, b) !== undefined) return;
    this.note({ type: 'compared', unit, a: Math.min(a, b), b: Math.max(a, b), agree });
    this.decide(unit, 0);
  }

  memberGone(member: Member, now: number): void {
    this.waitingSince.delete(member);
    this.forgetSpeed(member);
    for (const lease of [...member.leases]) if (lease.coordinator === this) this.end(lease, 'lost', now);
  }

  /** An excluded account's leases are withdrawn and its undecided results no longer count. */
  dropAccount(account: AccountId, now: number): void {
    const leases = [...this.open.values()].filter(({ member }) => member.account === account);
    this.revoke(leases);
    for (const lease of leases) this.end(lease, 'revoked', now);
    for (const index of [...this.undecided]) this.dropResults(index, (record) => record.account === account, now);
  }

  private dropResults(index: number, isMeant: (attempt: Attempt) => boolean, now: number): void {
    for (const attempt of unitAt(this.table, index).results) {
      const record = attemptAt(this.table, index, attempt);
      if (record.state !== 'done' || !isMeant(record)) continue;
      this.note({ type: 'dropped', unit: index, attempt });
      if (record.digest !== undefined) this.context.release(this.job, record.digest);
      this.settlePeer(record.peer, index, attempt, false, 0);
    }
    this.decide(index, now);
  }

  snapshot(): Json {
    return structuredCopy(this.record) as Json;
  }

  // Only training jobs are inspected, aggregated and initialised.
  inspected(): void {}
  aggregated(): void {}
  initialised(): void {}

  protected resultCame(unit: number, attempt: number, now: number): void {
    this.undecided.add(unit);
    this.askComparisons(unit, unitAt(this.table, unit), attempt);
    this.decide(unit, now);
  }

  protected leaseGone(unit: number): void {
    this.want(unit, this.wanted[unit] ?? 0);
    this.enqueue(unit, this.urgent);
    if (this.needsMore(unit)) this.context.workAppeared();
  }

  protected resumed(unit: number): void {
    this.want(unit, this.wanted[unit] ?? 0);
  }

  protected isUseful(unit: number): boolean {
    return (this.table.units[unit]?.accepted ?? 1) === 0;
  }

  protected needsMore(unit: number): boolean {
    return (this.wanted[unit] ?? 0) > (this.out[unit] ?? 0);
  }

  protected finishing(): void {
    for (const unit of this.undecided) {
      for (const attempt of unitAt(this.table, unit).results) {
        const { state, digest } = attemptAt(this.table, unit, attempt);
        if (state === 'done' && digest !== undefined) this.context.release(this.job, digest);
      }
    }
    this.undecided.clear();
    this.waitingSince.clear();
    this.laggards = [];
  }

  // Dealing

  private waited(member: Member, now: number): number {
    const since = this.waitingSince.get(member);
    if (since !== undefined) return now - since;
    this.waitingSince.set(member, now);
    return 0;
  }

  private pick(member: Member, count: number, now: number): number[] {
    const units: number[] = [];
    const mayBegin = this.classes?.mayBegin(member, now) ?? true;
    this.pickFrom(this.urgent, member, mayBegin, count, units);
    this.pickFrom(this.partial, member, mayBegin, count, units);
    while (mayBegin && units.length < count && this.fresh < this.table.units.length) {
      const unit = this.fresh++;
      // Units that a restart found under way are queued already.
      if (!this.needsMore(unit) || this.queued[unit] === 1) continue;
      this.take(unit, units);
      this.enqueue(unit, this.partial);
    }
    return units;
  }

  /** Takes eligible units from the front; those that are not for this volunteer keep their place, unless all are not. */
  private pickFrom(queue: Deque<number>, member: Member, mayBegin: boolean, count: number, units: number[]): void {
    const passed: number[] = [];
    if (queue.length > 1) queue.swapFront(this.context.random.below(Math.min(queue.length, shuffleMax)));
    const before = units.length;
    for (let scanned = 0; scanned < scanMax && units.length < count; scanned++) {
      const unit = queue.popFront();
      if (unit === undefined) break;
      this.queued[unit] = 0;
      if (!this.needsMore(unit)) continue;
      const record = this.table.units[unit];
      const isClosed = record ? this.isClosed(record, member, 0) : false;
      if (isClosed || !(mayBegin || this.classes?.isBegun(record) === true)) passed.push(unit);
      else {
        this.take(unit, units);
        if (this.needsMore(unit)) passed.push(unit);
      }
    }
    const found = units.length > before;
    for (const unit of found ? passed.reverse() : passed) {
      this.queued[unit] = 1;
      if (found) queue.pushFront(unit);
      else queue.pushBack(unit);
    }
  }

  /** Counts the unit as out before its lease is made, so that it is not picked twice. */
  private take(unit: number, units: number[]): void {
    this.setOut(unit, (this.out[unit] ?? 0) + 1);
    units.push(unit);
  }

  /** Lends a unit that is out already to a volunteer who will most likely be done sooner. */
  private dealAgain(member: Member, now: number): number {
    const unitMs = this.unitMsOf(member);
    if (member.slots === 0 || member.leases.size > 0 || unitMs === undefined) return 0;
    if (unitMs > copyHorizons * this.speeds.horizonMs(this.open.size)) return 0;
    for (let tries = 0; tries < shuffleMax; tries++) {
      const lease = this.laggards.pop();
      if (lease === undefined) return 0;
      if (!this.open.has(keyOf(lease.unit, lease.attempt))) continue;
      if (now + copyMargin * unitMs + 200 >= lease.expectedEnd) {
        this.laggards.push(lease);
        return 0;
      }
      const unit = unitAt(this.table, lease.unit);
      if ((this.out[lease.unit] ?? 0) >= (this.wanted[lease.unit] ?? 0) + copiesMax) continue;
      if (this.isClosed(unit, member, 0)) continue;
      this.setOut(lease.unit, (this.out[lease.unit] ?? 0) + 1);
      this.lend(member, [lease.unit], now);
      return 1;
    }
    return 0;
  }

  protected override isClosed(unit: Unit, member: Member, own: number): boolean {
    return super.isClosed(unit, member, own) || this.classes?.isForeign(unit, member, own) === true;
  }

  protected override toldOf(member: Member): { readonly numericClass?: string } {
    return this.classes === undefined ? {} : { numericClass: numericClassOf(member) };
  }

  /** Begins anew what a class that went away has left behind, and says why nothing can be finished. */
  private tickClasses(classes: NumericClasses, now: number): void {
    const begun = [...this.undecided].map((index) => [index, unitAt(this.table, index)] as const);
    for (const index of classes.hopeless(begun, now)) this.dropResults(index, () => true, now);
    const obstacle = this.undealt > 0 ? classes.obstacle() : undefined;
    if (obstacle === this.obstacle) return;
    this.obstacle = obstacle;
    this.context.stateChanged(this, true);
  }

  private enqueue(unit: number, queue: Deque<number>): void {
    if (this.queued[unit] === 1 || !this.needsMore(unit)) return;
    this.queued[unit] = 1;
    queue.pushBack(unit);
  }

  /** Sets what a unit wants and counts anew what is out. */
  private want(unit: number, wanted: number): void {
    const before = this.need(unit);
    this.wanted[unit] = wanted;
    this.out[unit] = this.countOut(unit);
    this.undealt += this.need(unit) - before;
  }

  private setOut(unit: number, out: number): void {
    const before = this.need(unit);
    this.out[unit] = out;
    this.undealt += this.need(unit) - before;
  }

  private need(unit: number): number {
    return Math.max(0, (this.wanted[unit] ?? 0) - (this.out[unit] ?? 0));
  }

  private countOut(unit: number): number {
    let out = 0;
    const attempts = this.table.units[unit]?.attempts ?? [];
    for (let index = 0; index < attempts.length; index++) if (this.open.has(keyOf(unit, index + 1))) out++;
    return out;
  }

  // Deciding

  private usable(unit: Unit): QuorumResult[] {
    const usable: QuorumResult[] = [];
    for (const attempt of unit.results) {
      const record = unit.attempts[attempt - 1];
      if (record?.state === 'done' && record.digest !== undefined) usable.push({ attempt, digest: record.digest });
    }
    return usable;
  }

  private countWanted(unit: Unit): number {
    if (unit.accepted !== 0) return 0;
    const hopeful = decideQuorum(this.usable(unit), (a, b) => agreementIn(unit)(a, b) ?? true, this.replicas);
    return hopeful.type === 'more' ? hopeful.count : 0;
  }

  /** Asks for comparisons of `attempt` (0: of every result) with the earlier ones that differ in their bytes. */
  private askComparisons(index: number, unit: Unit, attempt: number): void {
    const usable = this.usable(unit);
    for (let second = 1; second < usable.length; second++) {
      const b = usable[second];
      if (b === undefined || (attempt !== 0 && b.attempt !== attempt)) continue;
      for (const a of usable.slice(0, second)) {
        if (a.digest === b.digest || comparisonOf(unit, a.attempt, b.attempt) !== undefined) continue;
        this.askComparison(index, a.attempt, b.attempt);
      }
    }
  }

  private askComparison(unit: number, a: number, b: number): void {
    const digestA = attemptAt(this.table, unit, a).digest;
    const digestB = attemptAt(this.table, unit, b).digest;
    if (digestA === undefined || digestB === undefined) return;
    const sides = { a: { attempt: a, digest: digestA }, b: { attempt: b, digest: digestB } };
    this.context.effect({ type: 'compare', job: this.job, unit, ...sides });
  }

  private decide(index: number, now: number): void {
    const unit = unitAt(this.table, index);
    const decision = decideQuorum(this.usable(unit), agreementIn(unit), this.replicas);
    if (decision.type === 'accepted') return this.accept(index, unit, decision, now);
    this.want(index, this.countWanted(unit));
    if (this.usable(unit).length === 0) this.undecided.delete(index);
    if (!this.needsMore(index)) return;
    this.enqueue(index, this.urgent);
    this.context.workAppeared();
  }

  private accept(
    index: number,
    unit: Unit,
    {
      attempt: accepted,
      honest,
      dishonest,
    }: { attempt: number; honest: readonly number[]; dishonest: readonly number[] },
    now: number,
  ): void {
    this.note({ type: 'accepted', unit: index, attempt: accepted, honest, dishonest });
    this.undecided.delete(index);
    const { price } = this.manifest;
    for (const attempt of honest) {
      const { account, peer, digest } = attemptAt(this.table, index, attempt);
      this.context.credit({ account, job: this.job, unit: index, attempt, credit: price });
      this.settlePeer(peer, index, attempt, true, price);
      if (digest !== undefined && attempt !== accepted) this.context.release(this.job, digest);
    }
    for (const attempt of dishonest) {
      const { peer, digest } = attemptAt(this.table, index, attempt);
      this.settlePeer(peer, index, attempt, false, 0);
      if (digest !== undefined) this.context.release(this.job, digest);
    }
    this.want(index, 0);
    this.withdrawLeases(index, unit, now);
    this.context.unitAccepted(this, index);
    // One opinion alone says nothing about standing.
    const accounts = (attempts: readonly number[]) => attempts.map((n) => attemptAt(this.table, index, n).account);
    if (honest.length > 1) this.context.judge(accounts(honest), accounts(dishonest));
    if (this.table.accepted === this.table.units.length) this.finish('done', null, now);
    else this.context.stateChanged(this, false);
  }

  private withdrawLeases(index: number, unit: Unit, now: number): void {
    for (let attempt = 1; attempt <= unit.attempts.length; attempt++) {
      const lease = this.open.get(keyOf(index, attempt));
      if (lease === undefined) continue;
      this.revoke([lease]);
      this.end(lease, 'revoked', now);
    }
  }

  /** After a restart: whatever the job still needs must not be forgotten. */
  private holdDigests(unit: Unit): void {
    for (const attempt of unit.results) {
      const record = unit.attempts[attempt - 1];
      if (record?.digest === undefined) continue;
      if (attempt === unit.accepted || (this.isActive && record.state === 'done')) this.context.hold(record.digest);
    }
  }

  protected override note(fact: UnitsFact): void {
    applyUnitsFact(this.record, fact);
    this.context.record(this.job, fact as Json);
  }
}

/** What was found when attempts `a` and `b` were compared. */
function comparisonOf(unit: Unit, a: number, b: number): boolean | undefined {
  const [low, high] = a < b ? [a, b] : [b, a];
  for (const [first, second, agree] of unit.compared) if (first === low && second === high) return agree;
  return undefined;
}

const agreementIn =
  (unit: Unit): Agreement =>
  (a, b) =>
    a.digest === b.digest ? true : comparisonOf(unit, a.attempt, b.attempt);
