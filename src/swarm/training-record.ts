/**
 * The durable state of a training job and the facts that make it: which round it is in, its parameters, its seats and
 * what they reported. Folding facts is all that changes it, so that the log replayed gives the same state; which facts to
 * make is decided in `training.ts`.
 */

import { present } from '../core/assert.ts';
import type { AccountId, Digest, PeerId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { ManifestOf } from '../protocol/manifest.ts';
import type { RoundReport, Seat, TrainReport } from '../protocol/messages.ts';
import { attemptAt, newUnitTable, unitAt } from './attempts.ts';
import { applyJobFact, type JobFact, type JobRecord } from './coordinator.ts';
import { structuredCopy } from './pool.ts';
import type { SeatReport } from './step.ts';
import { roundsOf } from './training-manifest.ts';

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

export const isSolo = ({ manifest }: TrainRecord): boolean => manifest.train.method.name === 'solo';
export const seatAt = (record: TrainRecord, seat: number): SeatRecord => present(record.seats[seat], `no seat ${seat}`);

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

export const newestOf = ({ reports }: TrainRecord): RoundReport | undefined => reports.at(-1);

function reportRound(record: TrainRecord): RoundReport {
  const { manifest, round, seats } = record;
  const reports = seats.flatMap(({ report }) => (report === null ? [] : [report]));
  const losses = reports.flatMap(({ trainLoss }) => (trainLoss === null ? [] : [trainLoss]));
  return {
    round,
    rounds: roundsOf(manifest),
    contributors: reports.length,
    trainLoss: losses.length === 0 ? null : losses.reduce((a, b) => a + b, 0) / losses.length,
    validationLoss: reports.find(({ validationLoss }) => validationLoss !== null)?.validationLoss ?? null,
  };
}

const reportTraining = (record: TrainRecord): TrainReport => ({
  roundsCompleted: record.roundsCompleted,
  roundsSkipped: roundsOf(record.manifest) - record.roundsCompleted,
  parameters: present(record.parameters[0], 'a finished training has parameters'),
  tokens: record.tokens,
  // The last round only evaluates.
  trainLoss: record.reports.findLast(({ trainLoss }) => trainLoss !== null)?.trainLoss ?? null,
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

// What is read off the record

export const unitOf = ({ round, seats }: TrainRecord, seat: number): number => round * seats.length + seat;
export const roundOfUnit = ({ seats }: TrainRecord, unit: number): number => Math.floor(unit / seats.length);
export const isLastRound = ({ round, manifest }: TrainRecord): boolean => round === roundsOf(manifest);

/** Whether this unit's result has come and its report is awaited. */
export const isInspecting = ({ table }: TrainRecord, unit: number): boolean =>
  table.units[unit]?.attempts.some(({ state }) => state === 'done') ?? false;

/** What a seat is lent in this round. */
export function describeSeat(record: TrainRecord, seat: number, fresh: boolean): Seat {
  const { round } = record;
  const { steps, method } = record.manifest.train;
  const firstStep = Math.min(steps, round * method.innerSteps);
  return {
    round,
    seat,
    parameters: present(record.parameters[isSolo(record) ? seat : 0], 'a round begins with parameters'),
    steps: Math.min(method.innerSteps, steps - firstStep),
    firstStep,
    evaluate: seat === 0,
    fresh,
  };
}

/** The results that count in this round. */
export function contributionsOf(record: TrainRecord): { seat: number; result: Digest }[] {
  const found: { seat: number; result: Digest }[] = [];
  for (let seat = 0; seat < record.seats.length; seat++) {
    const unit = record.table.units[unitOf(record, seat)];
    const digest = unit?.attempts[unit.accepted - 1]?.digest;
    if (digest !== undefined) found.push({ seat, result: digest });
  }
  return found;
}
