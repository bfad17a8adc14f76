import { describe, expect, it } from 'vitest';
import type { AccountId, JobId } from '../core/ids.ts';
import { chainEntry, verifyLedger, type LedgerEntry } from './credit.ts';

const account = (letter: string) => letter.repeat(64) as AccountId;
const job = 'b'.repeat(64) as JobId;
const ledgerOf = (...accounts: string[]): LedgerEntry[] => {
  const entries: LedgerEntry[] = [];
  for (const [unit, letter] of accounts.entries()) {
    entries.push(chainEntry(entries.at(-1), { account: account(letter), job, unit, attempt: 1, credit: 2.5 }));
  }
  return entries;
};

describe('the ledger', () => {
  it('is verified from its first entry to its last', () => {
    expect(verifyLedger(ledgerOf('a', 'c', 'a'))).toEqual({ ok: true, value: 3 });
    expect(verifyLedger([])).toEqual({ ok: true, value: 0 });
  });

  it('shows a changed amount, a removed entry and a rewritten past', () => {
    const changed = ledgerOf('a', 'c', 'a').map((entry, index) => (index === 1 ? { ...entry, credit: 100 } : entry));
    expect(verifyLedger(changed)).toMatchObject({
      ok: false,
      error: { text: expect.stringContaining('entry 1') as string },
    });
    const removed = ledgerOf('a', 'c', 'a').toSpliced(1, 1);
    expect(verifyLedger(removed)).toMatchObject({ ok: false });
    const [first, ...rest] = ledgerOf('a', 'c', 'a');
    const forged = chainEntry(undefined, { ...(first as LedgerEntry), credit: 9 });
    expect(verifyLedger([forged, ...rest])).toMatchObject({
      ok: false,
      error: { text: expect.stringContaining('entry 1') as string },
    });
  });

  it('never pays an account twice for one unit', () => {
    const [first] = ledgerOf('a');
    const twice = chainEntry(first, { account: account('a'), job, unit: 0, attempt: 2, credit: 1 });
    expect(verifyLedger([first as LedgerEntry, twice])).toMatchObject({
      ok: false,
      error: { text: expect.stringContaining('twice') as string },
    });
  });

  it('pays for a place in a served model each time that it was held, and for one holding once', () => {
    const held = (attempt: number) => ({ account: account('a'), job, unit: 0, attempt, credit: 1, tokens: 5 });
    const first = chainEntry(undefined, held(1));
    const again = chainEntry(first, held(2));
    expect(verifyLedger([first, again])).toEqual({ ok: true, value: 2 });
    expect(verifyLedger([first, chainEntry(first, held(1))])).toMatchObject({
      ok: false,
      error: { text: expect.stringContaining('twice') as string },
    });
    // The tokens are part of what is chained.
    expect(verifyLedger([{ ...first, tokens: 6 }, again])).toMatchObject({ ok: false });
  });
});
