/**
 * The coordinator of a training job: rounds of low-communication training with a fixed number of seats. A seat is a
 * lease renewed each round; unit `round * workers + seat` is that seat's work in that round. A round closes when every
 * seat has contributed, or when its deadline has passed or its empty seats find nobody and at least one has; only real
 * contributors enter the outer step (`algorithms.md` 2.1: divide by those who contributed). A tab that closes therefore
 * costs at most its own contribution. The last round has no steps: its seats load the final parameters, report their
 * digest, and seat 0 measures the validation loss. With method `solo` every seat is a chain of its own.
 */

import { present } from '../core/assert.ts';
import type { AccountId, Digest, JobId, PeerId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import { chunkBytesMax, headerBytesMax, reconnectMsMax, resultBytesMax, trainedBytesMax } from '../core/limits.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { ManifestOf } from '../protocol/manifest.ts';
import type { JobState, RoundReport, Seat, TrainReport } from '../protocol/messages.ts';
import { attemptAt, newUnitTable, unitAt, type EndReason } from './attempts.ts';
import {
  applyJobFact,
  Coordinator,
  keyOf,
  slowDown,
  type JobContext,
  type JobFact,
  type JobRecord,
} from './coordinator.ts';
import { structuredCopy, type Member } from './pool.ts';
import type { SeatReport } from './step.ts';

export type TrainFact =
  | JobFact
  | { readonly type: 'initialised'; readonly parameters: Artifact }
  | { readonly type: 'contributed'; readonly unit: number; readonly attempt: number; readonly report: SeatReport }
  | { readonly type: 'round-closed'; readonly round: number }
  | { readonly type: 'aggregated'; readonly round: number; readonly seat: number; readonly parameters: Artifact };

interface SeatRecord {
  /** Who had the seat last; the same volunteer goes on with its optimiser state. */
  peer: PeerId | null;
  account: AccountId | null;
  steps: number;
  parametersSha256: Digest | null;
  /** Of the current round. */
  report: SeatReport | null;
  /** `solo`: this seat's outer step of a closed round is under way. */
  aggregating: boolean;
}

export interface TrainRecord extends JobRecord {
  readonly manifest: ManifestOf<'train'>;
  stage: 'initialising' | 'training' | 'aggregating';
  round: number;
  /** The newest parameters: one for all, or with `solo` one for each seat. */
  parameters: Artifact[];
  readonly seats: SeatRecord[];
  /** Every closed round's, in order: whoever watches late or again is told them all. */
  readonly reports: RoundReport[];
  tokens: number;
  bytesSent: number;
  bytesReceived: number;
  startValidationLoss: number | null;
  roundsCompleted: number;
  report: TrainReport | null;
}

export const roundsOf = ({ train }: ManifestOf<'train'>): number => Math.ceil(train.steps / train.method.innerSteps);

/** What is wrong with a training manifest beyond its fields, or undefined. */
export function checkTraining(manifest: ManifestOf<'train'>): string | undefined {
  const units = manifest.train.method.workers * (roundsOf(manifest) + 1);
  if (manifest.units !== units)
    return `manifest: a training of these rounds and workers has ${units} units, not ${manifest.units}`;
  if (manifest.verify.replicas !== 1) return 'manifest: verify.replicas must be 1 for training';
  return checkSizes(manifest);
}

/** Bytes of a chunk's digest and of a worker's report in a header, and of what else a job's state says. */
const chunkTextBytes = 67;
const workerTextBytes = 200;
const stateTextBytes = 16 * 1024;

/** The hub holds the parameters, a seat returns as many numbers, and the job's state names chunks and workers. */
function checkSizes({ train }: ManifestOf<'train'>): string | undefined {
  const { elements } = llamaLayout(train.model);
  const bytes = 4 * elements;
  if (bytes > trainedBytesMax) return `manifest: model: ${bytes} bytes of parameters, the most is ${trainedBytesMax}`;
  const { name, compress, workers } = train.method;
  const returned = elements * (compress === 'uint8' && name !== 'solo' ? 1 : 4) + chunkBytesMax;
  if (returned > resultBytesMax) {
    return `manifest: a seat returns ${returned} bytes, the most is ${resultBytesMax}; take a smaller model, or diloco with compress uint8`;
  }
  const text = chunkTextBytes * Math.ceil(bytes / chunkBytesMax) + workerTextBytes * workers + stateTextBytes;
  if (text <= headerBytesMax) return undefined;
  return `manifest: ${workers} workers with ${bytes} bytes of parameters do not fit one report; take fewer workers`;
}

export const newTrainRecord = (manifest: ManifestOf<'train'>, signature: string): TrainRecord => ({
  manifest,
  signature,
  phase: 'waiting',
  reason: null,
  table: newUnitTable(manifest.units),
  stage: 'initialising',
  round: 0,
  parameters: [],
  seats: Array.from({ length: manifest.train.method.workers }, () => ({
    peer: null,
    account: null,
    steps: 0,
    parametersSha256: null,
    report: null,
    aggregating: false,
  })),
  reports: [],
  tokens: 0,
  bytesSent: 0,
  bytesReceived: 0,
  startValidationLoss: null,
  roundsCompleted: 0,
  report: null,
});

const isSolo = ({ manifest }: TrainRecord): boolean => manifest.train.method.name === 'solo';
const seatAt = (record: TrainRecord, seat: number): SeatRecord => present(record.seats[seat], `no seat ${seat}`);

export function applyTrainFact(record: TrainRecord, fact: TrainFact): void {
  const workers = record.seats.length;
  switch (fact.type) {
    case 'initialised':
      record.parameters = isSolo(record) ? record.seats.map(() => fact.parameters) : [fact.parameters];
      record.stage = 'training';
      return;
    case 'leased':
      applyJobFact(record, fact);
      for (const [unit] of fact.units)
        Object.assign(seatAt(record, unit % workers), { peer: fact.peer, account: fact.account });
      return;
    case 'contributed':
      return applyContribution(record, fact);
    case 'round-closed':
      record.reports.push(reportRound(record));
      record.startValidationLoss ??= newestOf(record)?.validationLoss ?? null;
      record.roundsCompleted = Math.min(fact.round + 1, roundsOf(record.manifest));
      if (fact.round === roundsOf(record.manifest)) {
        record.report = reportTraining(record);
        return;
      }
      record.stage = 'aggregating';
      for (const seat of record.seats) seat.aggregating = isSolo(record) && seat.report !== null;
      return;
    case 'aggregated':
      record.parameters[fact.seat] = fact.parameters;
      if (isSolo(record)) seatAt(record, fact.seat).aggregating = false;
      if (record.seats.some(({ aggregating }) => aggregating)) return;
      for (const seat of record.seats) seat.report = null;
      record.round = fact.round + 1;
      record.stage = 'training';
      return;
    default:
      applyJobFact(record, fact);
  }
}

function applyContribution(
  record: TrainRecord,
  { unit, attempt, report }: Extract<TrainFact, { type: 'contributed' }>,
): void {
  const seat = seatAt(record, unit % record.seats.length);
  const contributor = attemptAt(record.table, unit, attempt);
  contributor.state = 'agreed';
  unitAt(record.table, unit).accepted = attempt;
  record.table.accepted++;
  seat.account = contributor.account;
  seat.report = report;
  seat.steps += report.steps;
  seat.parametersSha256 = record.round === roundsOf(record.manifest) ? report.parametersSha256 : null;
  record.tokens += report.tokens;
  record.bytesSent += report.bytesSent;
  record.bytesReceived += report.bytesReceived;
}

const newestOf = ({ reports }: TrainRecord): RoundReport | undefined => reports.at(-1);

function reportRound(record: TrainRecord): RoundReport {
  const { manifest, round, seats } = record;
  const reports = seats.flatMap(({ report }) => (report === null ? [] : [report]));
  const losses = reports.flatMap(({ trainLoss }) => (trainLoss === null ? [] : [trainLoss]));
  return {
    round,
    rounds: roundsOf(manifest),
    contributors: reports.length,
    trainLoss:
      losses.length === 0 ? (newestOf(record)?.trainLoss ?? null) : losses.reduce((a, b) => a + b, 0) / losses.length,
    validationLoss: reports.find(({ validationLoss }) => validationLoss !== null)?.validationLoss ?? null,
  };
}

const reportTraining = (record: TrainRecord): TrainReport => ({
  roundsCompleted: record.roundsCompleted,
  roundsSkipped: roundsOf(record.manifest) - record.roundsCompleted,
  parameters: present(record.parameters[0], 'a finished training has parameters'),
  tokens: record.tokens,
  trainLoss: newestOf(record)?.trainLoss ?? null,
  startValidationLoss: record.startValidationLoss,
  validationLoss: newestOf(record)?.validationLoss ?? null,
  bytesSent: record.bytesSent,
  bytesReceived: record.bytesReceived,
  workers: record.seats.flatMap(({ account, steps, parametersSha256 }) =>
    account === null ? [] : [{ id: account, steps, parametersSha256 }],
  ),
});

export function restoreTrainRecord(snapshot: Json | undefined, facts: readonly Json[]): TrainRecord {
  let record = snapshot === undefined ? undefined : (structuredCopy(snapshot) as TrainRecord);
  for (const fact of facts as readonly TrainFact[]) {
    if (fact.type !== 'submitted') applyTrainFact(present(record, 'a job stream begins with its submission'), fact);
    else if (fact.manifest.program === 'train') record = newTrainRecord(fact.manifest, fact.signature);
  }
  return present(record, 'a job stream begins with its submission');
}

/** With fewer volunteers than seats the first round waits this long for more. */
const startWaitMs = 3_000;
/** A round may take twice the slowest seat of the last one and this much more. */
const roundMargin = 2;
const roundGraceMs = 5_000;
/** How many times a round's allowed time its slow but steady seats get. */
const patience = 3;
/** A tab whose link broke is back within this, still at its unit; until then its seat is not given up. */
const rejoinMs = reconnectMsMax + 1_000;

export class TrainingCoordinator extends Coordinator {
  readonly record: TrainRecord;
  private readonly holders: (Member | undefined)[];
  private readonly candidates = new Map<Member, number>();
  private started = false;
  private roundStart = 0;
  /** When a seat was last left, or the hub came back to empty seats. */
  private vacatedAt = 0;
  /** Time from a round's start until its slowest contribution so far; and what the round before took. */
  private slowestMs = 0;
  private roundMs: number;

  constructor(job: JobId, context: JobContext, record: TrainRecord) {
    super(job, context, record.manifest);
    this.record = record;
    this.holders = record.seats.map(() => undefined);
    this.roundMs = 2_000 * record.manifest.limits.unitSeconds;
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
    this.roundStart = now;
    this.vacatedAt = now;
    for (const { chunks } of this.record.parameters) for (const chunk of chunks) this.context.hold(chunk);
    if (!this.isActive) return;
    if (restarted && this.record.table.units.some((unit) => unit?.attempts.some(({ state }) => state === 'open'))) {
      this.note({ type: 'restarted' });
    }
    this.started = this.record.round > 0;
    if (this.record.stage === 'initialising') this.context.effect({ type: 'initialise', job: this.job });
    for (let seat = 0; seat < this.workers; seat++) {
      const unit = this.unitOf(seat);
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
      if (!this.candidates.has(member)) this.candidates.set(member, now);
      this.startIfReady(now);
      if (!this.started) return 0;
      if (this.holders.includes(member)) return 1;
    }
    const seat = this.seatFor(member);
    if (seat === undefined) return 0;
    this.holders[seat] = member;
    member.seatOf = this;
    const { peer } = seatAt(this.record, seat);
    const fresh = peer !== member.peer;
    this.lend(member, [this.unitOf(seat)], now, () => this.describeSeat(seat, fresh));
    return 1;
  }

  tick(now: number): void {
    if (!this.hasWork) return;
    if (!this.started) this.startIfReady(now);
    this.closeIfDone(now);
  }

  memberGone(member: Member, now: number): void {
    this.candidates.delete(member);
    this.forgetSpeed(member);
    for (const lease of [...member.leases]) if (lease.coordinator === this) this.end(lease, 'lost', now);
    this.vacate(member, now);
    this.closeIfDone(now);
  }

  /** Training results are not compared, so an excluded account loses its seat and nothing else. */
  dropAccount(account: AccountId, now: number): void {
    const leases = [...this.open.values()].filter(({ member }) => member.account === account);
    this.revoke(leases);
    for (const lease of leases) this.end(lease, 'revoked', now);
    for (const holder of this.holders) if (holder?.account === account) this.vacate(holder, now);
  }

  initialised(parameters: Artifact, now: number): void {
    if (!this.isActive || this.record.stage !== 'initialising') return;
    this.note({ type: 'initialised', parameters });
    for (const { chunks } of this.record.parameters) for (const chunk of chunks) this.context.hold(chunk);
    this.roundStart = now;
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
      const holder = this.holders[unit % this.workers];
      // A report that came after its round speaks of what nobody asks any more; that is no fault.
      if (holder?.peer === result.peer && typeof report === 'string' && isUseful) {
        slowDown(holder, now);
        this.vacate(holder, now);
      }
      this.context.workAppeared();
    } else {
      this.note({ type: 'contributed', unit, attempt, report });
      this.context.credit(result.account, this.job, unit, attempt, this.manifest.price);
      this.settlePeer(result.peer, unit, attempt, true, this.manifest.price);
      const member = this.context.member(result.peer);
      if (member !== undefined) member.failuresInARow = 0;
      this.slowestMs = Math.max(this.slowestMs, now - this.roundStart);
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
    const results = this.contributions();
    this.note({ type: 'aggregated', round, seat: index, parameters });
    for (const chunk of parameters.chunks) this.context.hold(chunk);
    for (const chunk of before?.chunks ?? []) this.context.release(this.job, chunk);
    if (this.record.stage === 'aggregating') return;
    for (const { result } of results) this.context.release(this.job, result);
    this.roundMs = roundMargin * this.slowestMs + roundGraceMs;
    this.roundStart = now;
    this.slowestMs = 0;
    // Seats whose volunteers ask for work already go on at once; the others when they ask.
    for (const holder of this.holders) if (holder !== undefined && holder.slots > 0) this.deal(holder, now);
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
    const seat = this.describeSeat(unit % this.workers, false);
    this.context.effect({ type: 'inspect', job: this.job, unit, attempt, from, digest, seat });
  }

  protected leaseGone(unit: number, why: EndReason, now: number): void {
    const holder = this.holders[unit % this.workers];
    // A round that closed without this seat does not take it away.
    if (holder !== undefined && why !== 'revoked') this.vacate(holder, now);
    if (this.record.stage === 'training' && this.roundOfUnit(unit) === this.record.round) {
      this.context.workAppeared();
      this.closeIfDone(now);
    }
  }

  protected isUseful(unit: number): boolean {
    return (
      this.record.stage === 'training' &&
      this.roundOfUnit(unit) === this.record.round &&
      seatAt(this.record, unit % this.workers).report === null
    );
  }

  protected needsMore(unit: number): boolean {
    return this.isUseful(unit) && !this.isOut(unit) && !this.isInspecting(unit);
  }

  protected resumed(unit: number): void {
    for (const lease of this.open.values()) {
      if (lease.unit !== unit) continue;
      this.holders[unit % this.workers] = lease.member;
      lease.member.seatOf = this;
    }
  }

  protected finishing(now: number): void {
    for (const { result } of this.contributions()) this.context.release(this.job, result);
    for (let seat = 0; seat < this.workers; seat++) {
      for (const { state, digest } of this.record.table.units[this.unitOf(seat)]?.attempts ?? [])
        if (state === 'done' && digest !== undefined) this.context.release(this.job, digest);
    }
    for (const holder of this.holders) if (holder !== undefined) this.vacate(holder, now);
    this.candidates.clear();
  }

  // Rounds

  private get workers(): number {
    return this.record.seats.length;
  }

  private get isLastRound(): boolean {
    return this.record.round === roundsOf(this.record.manifest);
  }

  private unitOf(seat: number): number {
    return this.record.round * this.workers + seat;
  }

  private roundOfUnit(unit: number): number {
    return Math.floor(unit / this.workers);
  }

  private startIfReady(now: number): void {
    const accounts = new Set<AccountId>();
    let first = now;
    for (const [{ account }, since] of this.candidates) {
      accounts.add(account);
      first = Math.min(first, since);
    }
    if (accounts.size < this.workers && (accounts.size === 0 || now - first < startWaitMs)) return;
    this.started = true;
    this.roundStart = now;
    // Who came first sits first: seat 0 is the one that evaluates.
    for (const member of this.candidates.keys()) this.deal(member, now);
    this.candidates.clear();
  }

  /** The seat that this volunteer works in now, its own first; undefined when there is none for it. */
  private seatFor(member: Member): number | undefined {
    const own = this.holders.indexOf(member);
    if (own >= 0 && this.needsMore(this.unitOf(own))) return own;
    if (own >= 0) {
      // The end needs seat 0: whoever is done with a seat of their own may take it.
      return this.isLastRound && this.holders[0] === undefined && this.needsMore(this.unitOf(0)) ? 0 : undefined;
    }
    if (this.holders.some((holder) => holder?.account === member.account)) return undefined;
    let free: number | undefined;
    for (let seat = 0; seat < this.workers; seat++) {
      if (this.holders[seat] !== undefined || !this.needsMore(this.unitOf(seat))) continue;
      if (seatAt(this.record, seat).peer === member.peer) return seat;
      free ??= seat;
    }
    return free;
  }

  private vacate(member: Member, now: number): void {
    for (let seat = 0; seat < this.workers; seat++) {
      if (this.holders[seat] !== member) continue;
      this.holders[seat] = undefined;
      this.vacatedAt = now;
    }
    if (member.seatOf === this) member.seatOf = undefined;
  }

  private isOut(unit: number): boolean {
    const attempts = this.record.table.units[unit]?.attempts.length ?? 0;
    for (let attempt = 1; attempt <= attempts; attempt++) if (this.open.has(keyOf(unit, attempt))) return true;
    return false;
  }

  private isInspecting(unit: number): boolean {
    return this.record.table.units[unit]?.attempts.some(({ state }) => state === 'done') ?? false;
  }

  private describeSeat(seat: number, fresh: boolean): Seat {
    const { round } = this.record;
    const { steps, method } = this.record.manifest.train;
    const firstStep = Math.min(steps, round * method.innerSteps);
    return {
      round,
      seat,
      parameters: present(this.record.parameters[isSolo(this.record) ? seat : 0], 'a round begins with parameters'),
      steps: Math.min(method.innerSteps, steps - firstStep),
      firstStep,
      evaluate: seat === 0,
      fresh,
    };
  }

  private contributions(): { seat: number; result: Digest }[] {
    const found: { seat: number; result: Digest }[] = [];
    for (let seat = 0; seat < this.workers; seat++) {
      const unit = this.record.table.units[this.unitOf(seat)];
      const digest = unit?.attempts[unit.accepted - 1]?.digest;
      if (digest !== undefined) found.push({ seat, result: digest });
    }
    return found;
  }

  private closeIfDone(now: number): void {
    if (!this.isActive || this.record.stage !== 'training' || !this.isComplete(now)) return;
    const { round } = this.record;
    const late = [...this.open.values()];
    this.note({ type: 'round-closed', round });
    this.context.stateChanged(this, true);
    if (round === roundsOf(this.record.manifest)) return this.finish('done', null, now);
    this.revoke(late);
    for (const lease of late) this.end(lease, 'revoked', now);
    this.askAggregation();
  }

  /** Rules in order of priority; the first that applies decides whether the round may close. */
  private isComplete(now: number): boolean {
    const missing: number[] = [];
    for (let seat = 0; seat < this.workers; seat++) {
      if (seatAt(this.record, seat).report !== null) continue;
      if (this.isInspecting(this.unitOf(seat))) return false;
      missing.push(seat);
    }
    if (missing.length === 0) return true;
    if (missing.length === this.workers) return false;
    if (this.isLastRound && missing.includes(0)) return false;
    const allowedMs = this.allowedMs(this.workers - missing.length);
    if (now > this.roundStart + allowedMs)
      return !missing.some((seat) => this.isOnItsWay(seat, patience * allowedMs, now));
    if (missing.some((seat) => this.isOut(this.unitOf(seat)) || this.holders[seat] !== undefined)) return false;
    return now >= this.vacatedAt + rejoinMs && !this.hasSuccessor();
  }

  /** A round's time; once half of the seats are done, what they took says more than the round before. */
  private allowedMs(done: number): number {
    const seen = roundMargin * this.slowestMs + roundGraceMs;
    return 2 * done >= this.workers ? Math.min(this.roundMs, seen) : this.roundMs;
  }

  /** A slow seat that reports progress and will be done before long is waited for, or it would never contribute. */
  private isOnItsWay(seat: number, withinMs: number, now: number): boolean {
    const unit = this.unitOf(seat);
    const latest = this.roundStart + withinMs;
    if (now > latest) return false;
    for (const lease of this.open.values()) {
      if (lease.unit === unit) return lease.expectedEnd > now && lease.expectedEnd <= latest;
    }
    return false;
  }

  /** Whether somebody who waits for work could take an empty seat. */
  private hasSuccessor(): boolean {
    const seated = new Set(this.holders.map((holder) => holder?.account));
    for (const member of this.context.idleMembers()) {
      if (member.seatOf === undefined && !seated.has(member.account) && !this.context.isExcluded(member.account)) {
        if (this.canServe(member)) return true;
      }
    }
    return false;
  }

  private askAggregation(): void {
    const { round, parameters } = this.record;
    const contributions = this.contributions();
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
