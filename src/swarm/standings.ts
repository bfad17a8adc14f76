/**
 * The hub's hand on the pool: verdicts and credit become facts of the stream `pool`, and whose standing they touched is
 * remembered until the hub has told them, or has taken away the work of those who are excluded now. How a standing
 * follows from verdicts is `reputation.ts`, how entries are chained `credit.ts`, the state itself `pool.ts`.
 */

import type { AccountId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { MessageOf } from '../protocol/messages.ts';
import { creditKey, type Earning } from './credit.ts';
import { applyPoolFact, nextEntry, poolStream, type PoolFact, type PoolState } from './pool.ts';
import type { FactRecord } from './step.ts';

export class Standings {
  readonly pool: PoolState;
  private readonly record: (record: FactRecord) => void;
  private changed = new Set<AccountId>();
  private excluded: AccountId[] = [];

  constructor(pool: PoolState, record: (record: FactRecord) => void) {
    this.pool = pool;
    this.record = record;
  }

  isExcluded(account: AccountId): boolean {
    return this.pool.accounts.get(account)?.excluded === true;
  }

  /** What an account is told of itself. */
  messageTo(account: AccountId): MessageOf<'standing'> {
    const stranger = { agreed: 0, disagreed: 0, credit: 0, excluded: false };
    const { agreed, disagreed, credit, excluded } = this.pool.accounts.get(account) ?? stranger;
    return { type: 'standing', agreed, disagreed, credit, excluded };
  }

  judge(agreed: readonly AccountId[], disagreed: readonly AccountId[]): void {
    const before = disagreed.filter((account) => !this.isExcluded(account));
    this.note({ type: 'judged', agreed, disagreed });
    for (const account of agreed) this.changed.add(account);
    for (const account of disagreed) this.changed.add(account);
    this.excluded.push(...before.filter((account) => this.isExcluded(account)));
  }

  credit(earning: Earning): void {
    const entry = nextEntry(this.pool, earning);
    this.note({ type: 'credited', entry }, creditKey(entry));
    this.changed.add(entry.account);
  }

  /** Accounts whose standing changed since this was last asked. */
  takeChanged(): Iterable<AccountId> {
    const changed = this.changed;
    this.changed = new Set();
    return changed;
  }

  /** Accounts that were excluded since this was last asked. */
  takeExcluded(): readonly AccountId[] {
    const excluded = this.excluded;
    this.excluded = [];
    return excluded;
  }

  private note(fact: PoolFact, unique?: string): void {
    applyPoolFact(this.pool, fact);
    this.record({ stream: poolStream, fact: fact as Json, ...(unique === undefined ? {} : { unique }) });
  }
}
