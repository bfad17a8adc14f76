/**
 * What is kept of a job's units: every attempt, who made it and what became of it. The state is plain data and changes
 * only by facts, so that the log replayed gives the same state. Which facts to make is decided in `coordinator.ts` and
 * `training.ts`.
 */

import { present } from '../core/assert.ts';
import type { AccountId, Digest, PeerId } from '../core/ids.ts';
import { unitFailuresMax } from '../core/limits.ts';

/** Why a lease ended without a result. */
export type EndReason = 'expired' | 'released' | 'lost' | 'failed' | 'revoked' | 'restarted';

export interface Attempt {
  readonly peer: PeerId;
  readonly account: AccountId;
  readonly block: string;
  readonly deviceClass: string;
  /** Told where results are compared bit for bit. */
  readonly numericClass?: string;
  /** `done`: a result that counts; `dropped`: one that no longer does; then what the quorum found. */
  state: 'open' | EndReason | 'done' | 'dropped' | 'agreed' | 'disagreed';
  digest?: Digest;
  receipt?: Digest;
}

export interface Unit {
  /** Attempt n is at n - 1. */
  readonly attempts: Attempt[];
  /** The attempt whose bytes were accepted, or 0. */
  accepted: number;
  /** Results in the order of their arrival, by attempt. */
  readonly results: number[];
  /** Compared attempts: `[a, b, agree]` with a < b. Emptied once accepted. */
  compared: [number, number, boolean][];
}

export const newUnit = (): Unit => ({ attempts: [], accepted: 0, results: [], compared: [] });

/** Facts about single attempts, the same for all kinds of jobs. */
export type AttemptFact =
  | {
      readonly type: 'leased';
      readonly peer: PeerId;
      readonly account: AccountId;
      readonly block: string;
      readonly deviceClass: string;
      readonly numericClass?: string;
      /** `[unit, attempt]` */
      readonly units: readonly (readonly [number, number])[];
    }
  | { readonly type: 'ended'; readonly unit: number; readonly attempt: number; readonly why: EndReason }
  /** A lease that had ended goes on: its volunteer is back and still at it. */
  | { readonly type: 'resumed'; readonly unit: number; readonly attempt: number }
  | {
      readonly type: 'result';
      readonly unit: number;
      readonly attempt: number;
      readonly digest: Digest;
      readonly receipt: Digest;
    }
  | { readonly type: 'dropped'; readonly unit: number; readonly attempt: number }
  /** The hub came back: every open lease is void. */
  | { readonly type: 'restarted' };

/** The units of a job, made as they are first leased; with counts for its state. */
export interface UnitTable {
  readonly units: (Unit | null)[];
  accepted: number;
  /** Runs that ended: with a result, a failure, or silence. */
  attempts: number;
  disagreements: number;
}

export const newUnitTable = (count: number): UnitTable => ({
  units: Array.from({ length: count }, () => null),
  accepted: 0,
  attempts: 0,
  disagreements: 0,
});

export const unitAt = (table: UnitTable, unit: number): Unit =>
  present(table.units[unit], `unit ${unit} has no attempts`);

export const attemptAt = (table: UnitTable, unit: number, attempt: number): Attempt =>
  present(table.units[unit]?.attempts[attempt - 1], `unit ${unit} has no attempt ${attempt}`);

export function applyAttemptFact(table: UnitTable, fact: AttemptFact): void {
  switch (fact.type) {
    case 'leased': {
      const { peer, account, block, deviceClass, numericClass } = fact;
      const told = numericClass === undefined ? {} : { numericClass };
      for (const [unit] of fact.units) {
        const record = (table.units[unit] ??= newUnit());
        record.attempts.push({ peer, account, block, deviceClass, ...told, state: 'open' });
      }
      return;
    }
    case 'ended': {
      attemptAt(table, fact.unit, fact.attempt).state = fact.why;
      if (fact.why === 'expired' || fact.why === 'failed' || fact.why === 'lost') table.attempts++;
      return;
    }
    case 'resumed': {
      const attempt = attemptAt(table, fact.unit, fact.attempt);
      if (attempt.state === 'expired' || attempt.state === 'lost') table.attempts--;
      attempt.state = 'open';
      return;
    }
    case 'result': {
      const attempt = attemptAt(table, fact.unit, fact.attempt);
      if (attempt.state !== 'expired' && attempt.state !== 'lost') table.attempts++;
      attempt.state = 'done';
      attempt.digest = fact.digest;
      attempt.receipt = fact.receipt;
      unitAt(table, fact.unit).results.push(fact.attempt);
      return;
    }
    case 'dropped':
      attemptAt(table, fact.unit, fact.attempt).state = 'dropped';
      return;
    case 'restarted':
      for (const unit of table.units) {
        for (const attempt of unit?.attempts ?? []) if (attempt.state === 'open') attempt.state = 'restarted';
      }
  }
}

/** A lease that ended without result, whose volunteer may yet deliver it. A failed one has nothing to deliver. */
export const mayReturn = (attempt: Attempt): boolean =>
  attempt.state === 'expired' ||
  attempt.state === 'lost' ||
  attempt.state === 'restarted' ||
  attempt.state === 'released';

/** Attempts that failed or were too slow. */
export const troubleIn = (unit: Unit | null | undefined): readonly Attempt[] =>
  (unit?.attempts ?? []).filter(({ state }) => state === 'failed' || state === 'expired');

export const accountsOf = (attempts: readonly Attempt[]): number =>
  new Set(attempts.map(({ account }) => account)).size;

/** Three volunteers on which a unit failed speak against the job, too slow ones in twice that number, few ones that fail often. */
export function failsEverywhere(unit: Unit | null | undefined): boolean {
  const trouble = troubleIn(unit);
  return (
    accountsOf(trouble.filter(({ state }) => state === 'failed')) >= unitFailuresMax ||
    accountsOf(trouble) >= 2 * unitFailuresMax ||
    trouble.length >= 4 * unitFailuresMax
  );
}

/** Tabs of one machine or house share an address block; only where it is known and not this machine's own does it count. */
export const isSharedBlock = (a: string, b: string): boolean => a === b && isTellingBlock(a);

export const isTellingBlock = (block: string): boolean =>
  block !== 'unknown' && block !== '::1' && !block.startsWith('127.') && !block.startsWith('::1/');
