/**
 * The ledger: credit for accepted attempts, each entry naming the hash of the one before, so that history cannot be
 * rewritten in the middle. Who earned what is decided elsewhere (`coordinator.ts`, `training.ts`); here it is chained.
 */

import { sha256Text } from '../core/hash.ts';
import type { AccountId, Digest, JobId } from '../core/ids.ts';
import { ok, problem, type Result } from '../core/result.ts';

export interface LedgerEntry {
  /** From zero, without gaps. */
  readonly seq: number;
  readonly account: AccountId;
  readonly job: JobId;
  readonly unit: number;
  readonly attempt: number;
  readonly credit: number;
  /** Of a place in a served model: the tokens that it computed its layers for. Places are held again, units are not. */
  readonly tokens?: number;
  /** The hash of the entry before, or null for the first. */
  readonly previous: Digest | null;
  /** SHA-256 of the JSON text of this entry's fields above, in this order. */
  readonly hash: Digest;
}

export type Earning = Pick<LedgerEntry, 'account' | 'job' | 'unit' | 'attempt' | 'credit' | 'tokens'>;

/** The next entry of a ledger that ends with `last`. */
export function chainEntry(last: LedgerEntry | undefined, earning: Earning): LedgerEntry {
  const body = {
    seq: last === undefined ? 0 : last.seq + 1,
    account: earning.account,
    job: earning.job,
    unit: earning.unit,
    attempt: earning.attempt,
    credit: earning.credit,
    ...(earning.tokens === undefined ? {} : { tokens: earning.tokens }),
    previous: last?.hash ?? null,
  };
  return { ...body, hash: sha256Text(JSON.stringify(body)) };
}

/**
 * The store refuses a second record with this key: an account is paid for a unit at most once, for a place in a served model
 * each time that it was held.
 */
export const creditKey = ({ job, unit, account, attempt, tokens }: Omit<Earning, 'credit'>): string =>
  `credit/${job}/${unit}/${account}${tokens === undefined ? '' : `/${attempt}`}`;

/** The number of entries, or the first entry that does not follow from the one before. */
export function verifyLedger(entries: readonly LedgerEntry[]): Result<number> {
  let last: LedgerEntry | undefined;
  const paid = new Set<string>();
  for (const entry of entries) {
    const expected = chainEntry(last, entry);
    if (entry.seq !== expected.seq)
      return problem('ledger', `ledger: entry ${expected.seq} is missing or out of order`);
    if (entry.previous !== expected.previous || entry.hash !== expected.hash) {
      return problem('ledger', `ledger: entry ${entry.seq} was changed or does not follow the one before`);
    }
    const key = creditKey(entry);
    if (paid.has(key)) return problem('ledger', `ledger: entry ${entry.seq} pays ${entry.account} twice for one unit`);
    paid.add(key);
    last = entry;
  }
  return ok(entries.length);
}
