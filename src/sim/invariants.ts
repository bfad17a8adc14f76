/**
 * What must hold whatever happens, checked from the facts alone and with a model of its own, after every one of them:
 * no unit is lost or accepted twice, nothing accepted is leased again, a quorum is of distinct accounts and address
 * blocks, no credit without acceptance nor twice, an excluded account gets no work, and no lie is accepted.
 */

import type { AccountId, Digest } from '../core/ids.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { isSharedBlock } from '../swarm/attempts.ts';
import { creditKey } from '../swarm/credit.ts';
import type { PoolFact } from '../swarm/pool.ts';
import { judge, newStanding, type Standing } from '../swarm/reputation.ts';
import type { FactRecord } from '../swarm/step.ts';
import type { TrainFact } from '../swarm/training.ts';
import type { UnitsFact } from '../swarm/units-record.ts';

interface SeenAttempt {
  readonly account: AccountId;
  readonly block: string;
  digest: Digest | undefined;
  accepted: boolean;
}

interface SeenJob {
  readonly manifest: Manifest;
  readonly attempts: SeenAttempt[][];
  readonly accepted: Set<number>;
  round: number;
  finished: boolean;
}

export interface InvariantOptions {
  readonly isRight: (digest: Digest) => boolean;
  /** Whether a wrong result may be accepted at all: where liars agree with each other, or one opinion is enough. */
  readonly mayAcceptWrong: boolean;
}

export class Invariants {
  /** The first violation, or undefined. */
  violation: string | undefined;
  wrongAccepted = 0;
  accepted = 0;
  /** Attempts that were lent, whatever became of them. */
  attempts = 0;
  private readonly options: InvariantOptions;
  private readonly jobs = new Map<string, SeenJob>();
  private readonly credits = new Set<string>();
  private readonly standings = new Map<AccountId, Standing>();

  constructor(options: InvariantOptions) {
    this.options = options;
  }

  observe({ stream, fact }: FactRecord): void {
    if (stream === 'pool') this.observePool(fact as PoolFact);
    else this.observeJob(stream, fact as UnitsFact | TrainFact);
  }

  /** Every job has finished. */
  allFinished(): boolean {
    return [...this.jobs.values()].every(({ finished }) => finished);
  }

  isAccepted(job: string, unit: number, digest: Digest): boolean {
    const attempts = this.jobs.get(job)?.attempts[unit] ?? [];
    return attempts.some((attempt) => attempt.accepted && attempt.digest === digest);
  }

  private observePool(fact: PoolFact): void {
    if (fact.type === 'judged') {
      for (const account of fact.agreed) judge(this.standing(account), true);
      for (const account of fact.disagreed) judge(this.standing(account), false);
      return;
    }
    const { entry } = fact;
    const job = this.jobs.get(entry.job);
    const attempt = job?.attempts[entry.unit]?.[entry.attempt - 1];
    const what = `credit for unit ${entry.unit}, attempt ${entry.attempt}`;
    this.check(attempt !== undefined && attempt.account === entry.account, `${what}: not an attempt of that account`);
    this.check(attempt?.accepted === true, `${what}: without acceptance`);
    this.check(entry.credit === job?.manifest.price, `${what}: not the manifest's price`);
    this.check(!this.credits.has(creditKey(entry)), `${what}: twice`);
    this.credits.add(creditKey(entry));
  }

  private observeJob(stream: string, fact: UnitsFact | TrainFact): void {
    if (fact.type === 'submitted') {
      const { manifest } = fact;
      const attempts = Array.from({ length: manifest.units }, (): SeenAttempt[] => []);
      this.jobs.set(stream, { manifest, attempts, accepted: new Set(), round: 0, finished: false });
      return;
    }
    const job = this.jobs.get(stream);
    if (job === undefined) return this.check(false, `${fact.type} in an unknown job`);
    this.check(!job.finished || fact.type === 'ended', `${fact.type} after the job had finished`);
    switch (fact.type) {
      case 'leased':
        return this.observeLeases(job, fact);
      case 'result': {
        const attempt = job.attempts[fact.unit]?.[fact.attempt - 1];
        this.check(attempt !== undefined, `result of unit ${fact.unit}, attempt ${fact.attempt}: never leased`);
        this.check(attempt?.digest === undefined, `result of unit ${fact.unit}, attempt ${fact.attempt}: twice`);
        if (attempt !== undefined) attempt.digest = fact.digest;
        return;
      }
      case 'accepted':
        return this.observeAcceptance(job, fact.unit, fact.attempt, fact.honest);
      case 'contributed':
        this.check(
          Math.floor(fact.unit / workersOf(job)) === job.round,
          `unit ${fact.unit} contributed to another round`,
        );
        return this.accept(job, fact.unit, [fact.attempt]);
      case 'round-closed':
        this.check(fact.round === job.round, `round ${fact.round} closed in round ${job.round}`);
        this.check(this.contributors(job) > 0, `round ${fact.round} closed without a contribution`);
        return;
      case 'aggregated':
        job.round = fact.round + 1;
        return;
      case 'finished': {
        job.finished = true;
        const lost = job.manifest.units - job.accepted.size;
        const mayMiss = fact.phase !== 'done' || job.manifest.program === 'train';
        this.check(mayMiss || lost === 0, `${lost} units were lost`);
        return;
      }
      default:
    }
  }

  private observeLeases(job: SeenJob, fact: Extract<UnitsFact, { type: 'leased' }>): void {
    const { account, block } = fact;
    this.check(this.standings.get(account)?.excluded !== true, `a lease for the excluded account ${account}`);
    this.attempts += fact.units.length;
    for (const [unit, attempt] of fact.units) {
      const attempts = job.attempts[unit];
      this.check(
        attempts !== undefined && attempts.length + 1 === attempt,
        `unit ${unit}: attempt ${attempt} out of order`,
      );
      this.check(!job.accepted.has(unit), `unit ${unit} was leased after its acceptance`);
      attempts?.push({ account, block, digest: undefined, accepted: false });
    }
  }

  private observeAcceptance(job: SeenJob, unit: number, attempt: number, honest: readonly number[]): void {
    const { replicas } = job.manifest.verify;
    this.check(honest.length >= replicas, `unit ${unit}: ${honest.length} agreeing results, ${replicas} are needed`);
    this.check(honest.includes(attempt), `unit ${unit}: the accepted result is not among the honest ones`);
    this.accept(job, unit, honest);
    const digest = job.attempts[unit]?.[attempt - 1]?.digest;
    if (digest !== undefined && this.options.isRight(digest)) return;
    this.wrongAccepted++;
    this.check(this.options.mayAcceptWrong, `unit ${unit}: a wrong result was accepted`);
  }

  private accept(job: SeenJob, unit: number, honest: readonly number[]): void {
    this.check(!job.accepted.has(unit), `unit ${unit} was accepted twice`);
    job.accepted.add(unit);
    this.accepted++;
    const seen: SeenAttempt[] = [];
    for (const number of honest) {
      const attempt = job.attempts[unit]?.[number - 1];
      if (attempt?.digest === undefined) return this.check(false, `unit ${unit}: attempt ${number} has no result`);
      for (const other of seen) {
        this.check(other.account !== attempt.account, `unit ${unit}: two results of one account in a quorum`);
        this.check(
          !isSharedBlock(other.block, attempt.block),
          `unit ${unit}: two results of one address block in a quorum`,
        );
      }
      attempt.accepted = true;
      seen.push(attempt);
    }
  }

  private contributors(job: SeenJob): number {
    const workers = workersOf(job);
    let count = 0;
    for (let seat = 0; seat < workers; seat++) if (job.accepted.has(job.round * workers + seat)) count++;
    return count;
  }

  private standing(account: AccountId): Standing {
    let standing = this.standings.get(account);
    if (standing === undefined) {
      standing = newStanding();
      this.standings.set(account, standing);
    }
    return standing;
  }

  private check(holds: boolean, text: string): void {
    if (!holds) this.violation ??= text;
  }
}

const workersOf = ({ manifest }: SeenJob): number => (manifest.program === 'train' ? manifest.train.method.workers : 1);
