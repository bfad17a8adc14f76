/**
 * The pool: what is known across jobs. Durable, as the fold of the stream `pool`: each account's standing and credit,
 * and the ledger. Gone with the process: who is connected, what they can do and which leases they hold.
 */

import { assert } from '../core/assert.ts';
import type { AccountId, JobId, PeerId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { DeviceDescription, Role } from '../protocol/messages.ts';
import { chainEntry, type LedgerEntry } from './credit.ts';
import { judge, newStanding, type Standing } from './reputation.ts';
import type { Coordinator, OpenLease } from './coordinator.ts';

export const poolStream = 'pool';

export type PoolFact =
  /** A quorum's verdict on these accounts' results. */
  | { readonly type: 'judged'; readonly agreed: readonly AccountId[]; readonly disagreed: readonly AccountId[] }
  | { readonly type: 'credited'; readonly entry: LedgerEntry };

export interface Account extends Standing {
  /** Accepted attempts and what they earned. */
  units: number;
  credit: number;
}

export interface PoolState {
  readonly accounts: Map<AccountId, Account>;
  readonly ledger: LedgerEntry[];
}

export const newPoolState = (): PoolState => ({ accounts: new Map(), ledger: [] });

export function accountOf(state: PoolState, account: AccountId): Account {
  let record = state.accounts.get(account);
  if (record === undefined) {
    record = { ...newStanding(), units: 0, credit: 0 };
    state.accounts.set(account, record);
  }
  return record;
}

export function applyPoolFact(state: PoolState, fact: PoolFact): void {
  if (fact.type === 'judged') {
    for (const account of fact.agreed) judge(accountOf(state, account), true);
    for (const account of fact.disagreed) judge(accountOf(state, account), false);
    return;
  }
  const { entry } = fact;
  assert(entry.seq === state.ledger.length, `ledger entry ${entry.seq} follows ${state.ledger.length} entries`);
  state.ledger.push(entry);
  const account = accountOf(state, entry.account);
  account.units++;
  account.credit += entry.credit;
}

export const nextEntry = (state: PoolState, earning: Parameters<typeof chainEntry>[1]): LedgerEntry =>
  chainEntry(state.ledger.at(-1), earning);

/** Accounts in the order of their names, so that equal states have equal texts. */
export const poolSnapshot = (state: PoolState): Json => ({
  accounts: [...state.accounts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([account, record]) => [account, { ...record }]),
  ledger: state.ledger.map((entry) => ({ ...entry })),
});

/** What `poolSnapshot` made; the log is ours, so its shape is trusted. */
export function restorePool(snapshot: Json | undefined, facts: readonly Json[]): PoolState {
  const state = newPoolState();
  if (snapshot !== undefined) {
    const { accounts, ledger } = structuredCopy(snapshot) as {
      accounts: [AccountId, Account][];
      ledger: LedgerEntry[];
    };
    for (const [account, record] of accounts) state.accounts.set(account, record);
    state.ledger.push(...ledger);
  }
  for (const fact of facts) applyPoolFact(state, fact as PoolFact);
  return state;
}

/** A copy that shares nothing, of plain data. */
export const structuredCopy = (value: Json | object): unknown => JSON.parse(JSON.stringify(value));

/** A connected volunteer or submitter. */
export interface Member {
  readonly peer: PeerId;
  readonly account: AccountId;
  readonly role: Role;
  readonly block: string;
  readonly since: number;
  device: DeviceDescription | undefined;
  /** Units per second that it says it measured, by program. */
  speeds: Readonly<Record<string, number>>;
  /** Standing demand: how many more leases it can take. */
  slots: number;
  readonly leases: Set<OpenLease>;
  /** The training or the served model that this volunteer has a place in; it gets no other work. */
  seatOf: Coordinator | undefined;
  lastJob: JobId | undefined;
  /** When its last result came in: the next unit began then at the latest. */
  lastReturn: number;
  /** What units took on it lately, of whatever job; Infinity before any was seen. For the order of offers only. */
  recentMs: number;
  failuresInARow: number;
  backoffUntil: number;
}

/** When a volunteer will have worked off what it holds, as far as is known. */
export function queueEnd(member: Member, now: number): number {
  let end = now;
  for (const lease of member.leases) end = Math.max(end, lease.expectedEnd);
  return end;
}
