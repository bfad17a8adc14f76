/**
 * `tabswarm ledger verify`: reads the ledger from a hub's data folder and checks that every entry follows from the one
 * before, that none is missing, and that no unit was paid twice to one account.
 */

import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { createSqlStore } from '../../adapters/store/sql-store.ts';
import { InputError } from '../../core/result.ts';
import type { Json } from '../../core/json.ts';
import { accountId, digest, finite, jobId, parse, v, whole } from '../../core/schema.ts';
import { verifyLedger, type LedgerEntry } from '../../swarm/credit.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { lockDataFolder } from '../lock-file.ts';
import { printResult, WorkFailedError, type Output } from '../output.ts';
import { logFolder, openPglite } from '../pglite.ts';

interface LedgerFlags {
  readonly data: string;
  readonly json: boolean;
}

const safe = whole(0, Number.MAX_SAFE_INTEGER);
const entrySchema = v.strictObject({
  seq: safe,
  account: accountId,
  job: jobId,
  unit: safe,
  attempt: safe,
  credit: finite,
  tokens: v.exactOptional(safe),
  previous: v.nullable(digest),
  hash: digest,
});

export function register(program: Command, output: Output): void {
  program
    .command('ledger')
    .description('the hash-chained list of credit')
    .command('verify')
    .description('check the chain of a hub that is not running')
    .option('--data <folder>', "the hub's data folder", defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((flags: LedgerFlags) => verify(flags, output));
}

async function verify({ data, json }: LedgerFlags, output: Output): Promise<void> {
  if (!existsSync(logFolder(data))) {
    throw new InputError(`${data} holds no ledger: give the folder that the hub was started with by --data`);
  }
  const entries = readEntries(await loadPool(data));
  const checked = verifyLedger(entries);
  const credit = entries.reduce((sum, entry) => sum + entry.credit, 0);
  const accounts = new Set(entries.map((entry) => entry.account)).size;
  const head = entries.at(-1)?.hash ?? null;
  const problem = checked.ok ? null : checked.error.text;
  printResult(output, json, { ok: checked.ok, entries: entries.length, accounts, credit, head, problem }, () =>
    checked.ok
      ? [`${entries.length} entries of ${accounts} accounts follow one another; credit ${credit}; head ${head}`]
      : [],
  );
  if (!checked.ok) throw new WorkFailedError(checked.error.text);
}

interface LoadedStream {
  readonly snapshot: Json | undefined;
  readonly facts: readonly Json[];
}

async function loadPool(data: string): Promise<LoadedStream> {
  const lock = await lockDataFolder(data);
  try {
    const store = await createSqlStore(await openPglite(logFolder(data)));
    try {
      return await store.load('pool');
    } finally {
      await store.close();
    }
  } finally {
    await lock.release();
  }
}

/** The entries of the snapshot, then those of the facts after it. */
export function readEntries({ snapshot, facts }: LoadedStream): LedgerEntry[] {
  const before = parse(v.optional(v.looseObject({ ledger: v.array(entrySchema) })), snapshot, 'ledger: snapshot');
  if (!before.ok) throw new WorkFailedError(before.error.text);
  const credited = v.looseObject({ type: v.literal('credited'), entry: entrySchema });
  const after = facts.filter(isCredited).map((fact, index) => {
    const parsed = parse(credited, fact, `ledger: fact ${index}`);
    if (!parsed.ok) throw new WorkFailedError(parsed.error.text);
    return parsed.value.entry;
  });
  return [...(before.value?.ledger ?? []), ...after];
}

const isCredited = (fact: Json): boolean =>
  typeof fact === 'object' && fact !== null && 'type' in fact && fact.type === 'credited';
