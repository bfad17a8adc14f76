/** The command line as people and scripts meet it: what it prints where, and its exit codes. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { createSqlStore } from '../adapters/store/sql-store.ts';
import type { Json } from '../core/json.ts';
import { sha256Text } from '../core/hash.ts';
import { InputError } from '../core/result.ts';
import { isAccountId, type AccountId, type JobId } from '../core/ids.ts';
import { chainEntry, type LedgerEntry } from '../swarm/credit.ts';
import { explainError, WorkFailedError } from './output.ts';
import { logFolder, openPglite } from './pglite.ts';
import { createProgram, runProgram } from './program.ts';

const folder = await mkdtemp(join(tmpdir(), 'tabswarm-cli-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(...words: readonly string[]) {
  const results: string[] = [];
  const progress: string[] = [];
  const code = await runProgram(words, {
    result: (line) => void results.push(line),
    progress: (line) => void progress.push(line),
  });
  return { code, results, progress };
}

describe('bad usage is one line on standard error and exit code 2', () => {
  it.each([
    [['frob'], "error: unknown command 'frob'"],
    [['keyz'], "error: unknown command 'keyz' (Did you mean keys?)"],
    [['keys', '--jsn'], "error: unknown option '--jsn' (Did you mean --json?)"],
    [['keys', '--data'], "error: option '--data <folder>' argument missing"],
    [['keys', 'surplus'], "error: too many arguments for 'keys'. Expected 0 arguments but got 1."],
    [
      ['ledger', 'verify', '--data', join(folder, 'none')],
      `error: ${join(folder, 'none')} holds no ledger: give the folder`,
    ],
  ])('%j', async (words, line) => {
    const { code, results, progress } = await run(...words);
    expect([code, results, progress.length]).toEqual([2, [], 1]);
    expect(progress[0]).toContain(line);
    expect(progress[0]).not.toContain('\n');
  });

  it('an account key that is none', async () => {
    await writeFile(join(folder, 'account-key.pem'), 'x');
    const { code, results, progress } = await run('keys', '--data', folder);
    expect([code, results]).toEqual([2, []]);
    expect(progress).toHaveLength(1);
  });
});

it('help and version are results; no command at all is bad usage', async () => {
  const help = await run('--help');
  expect(help.code).toBe(0);
  expect(help.results.join('\n')).toContain('Usage: tabswarm');
  expect(await run('--version')).toMatchObject({ code: 0, results: [expect.stringMatching(/^\d+\.\d+\.\d+$/)] });
  expect(await run()).toMatchObject({ code: 2, results: [] });
});

it('every command has a description, and every option a text', () => {
  const visit = (command: Command): void => {
    expect(command.description(), command.name()).not.toBe('');
    for (const option of command.options) expect(option.description, `${command.name()} ${option.flags}`).not.toBe('');
    for (const child of command.commands) visit(child);
  };
  visit(createProgram({ result: () => undefined, progress: () => undefined }));
});

it('an error is its first line: exit code 2 for bad input, 1 for anything else', () => {
  expect(explainError(new InputError('a\nb'))).toEqual({ line: 'a', exitCode: 2 });
  expect(explainError(new WorkFailedError('c'))).toEqual({ line: 'c', exitCode: 1 });
  expect(explainError(new TypeError(''))).toEqual({ line: 'TypeError', exitCode: 1 });
  expect(explainError('odd')).toEqual({ line: 'odd', exitCode: 1 });
});

it('keys prints one JSON object, the same account every time', async () => {
  const data = join(folder, 'keys');
  const { code, results, progress } = await run('keys', '--json', '--data', data);
  expect([code, results.length, progress]).toEqual([0, 1, []]);
  const { account } = JSON.parse(results[0] ?? '') as { account: string };
  expect(isAccountId(account)).toBe(true);
  expect((await run('keys', '--data', data)).results[0]).toContain(account);
});

describe('sim', () => {
  it('prints one JSON object, the same for the same seed', async () => {
    const words = ['sim', '--scenario', 'life-of-a-unit', '--seed', '7', '--json'];
    const [first, second] = [await run(...words), await run(...words)];
    expect(first).toMatchObject({ code: 0, progress: [] });
    expect(first.results).toHaveLength(1);
    const { wallSeconds, eventsPerSecond, ...report } = JSON.parse(first.results[0] ?? '') as Record<string, unknown>;
    expect([typeof wallSeconds, typeof eventsPerSecond]).toEqual(['number', 'number']);
    expect(report).toMatchObject({ seed: 7, wrongAccepted: 0, invariants: 'held' });
    expect(JSON.parse(second.results[0] ?? '')).toMatchObject(report);
  });

  it.each([
    [['--scenario', 'none'], 'no scenario "none"; there are'],
    [['--units', '1.5'], 'expected a whole number'],
    [['--volunteers', '0'], '--volunteers must be 1 to'],
  ])('refuses %j in one line', async (words, line) => {
    const { code, results, progress } = await run('sim', ...words);
    expect([code, results, progress.length]).toEqual([2, [], 1]);
    expect(progress[0]).toContain(line);
  });
});

describe('ledger verify', () => {
  const entries: LedgerEntry[] = [];
  for (let unit = 0; unit < 5; unit++) {
    const account = sha256Text(`account ${unit % 2}`) as string as AccountId;
    const job = sha256Text('job') as string as JobId;
    entries.push(chainEntry(entries.at(-1), { account, job, unit, attempt: 1, credit: 2 }));
  }

  /** Writes a ledger as a hub does: a snapshot of the first entries, facts for the others. */
  async function writeLedger(data: string, changed: readonly LedgerEntry[]): Promise<void> {
    const store = await createSqlStore(await openPglite(logFolder(data)));
    const epoch = await store.claim('pool');
    await store.snapshot('pool', epoch, asJson({ accounts: [], ledger: changed.slice(0, 2) }));
    const facts: Json[] = [{ type: 'judged', agreed: [], disagreed: [] }];
    for (const entry of changed.slice(2)) facts.push(asJson({ type: 'credited', entry }));
    await store.append(facts.map((fact) => ({ stream: 'pool', epoch, fact })));
    await store.close();
  }

  it('accepts a whole chain, finds a changed credit, and says so with exit code 1', async () => {
    const data = join(folder, 'hub');
    await writeLedger(data, entries);
    const good = await run('ledger', 'verify', '--json', '--data', data);
    expect(good).toMatchObject({ code: 0, progress: [] });
    expect(JSON.parse(good.results[0] ?? '')).toEqual({
      ok: true,
      entries: 5,
      accounts: 2,
      credit: 10,
      head: entries[4]?.hash,
      problem: null,
    });
    await writeLedger(data, entries.with(3, { ...(entries[3] as LedgerEntry), credit: 200 }));
    const changed = await run('ledger', 'verify', '--json', '--data', data);
    expect(changed).toMatchObject({ code: 1, progress: [expect.stringContaining('entry 3 was changed')] });
    expect(JSON.parse(changed.results[0] ?? '')).toMatchObject({ ok: false, entries: 5 });
  }, 120_000);
});

const asJson = (value: object): Json => JSON.parse(JSON.stringify(value)) as Json;
