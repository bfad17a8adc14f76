/** The acceptance suites on PGlite in a folder and on files, and what only these promise: acknowledged is kept through a kill. */

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { chunksAcceptance } from '../adapters/store/chunks-acceptance.ts';
import { createSqlStore, type SqlConnection, type SqlDatabase } from '../adapters/store/sql-store.ts';
import { storeAcceptance } from '../adapters/store/store-acceptance.ts';
import { utf8 } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { openFileChunks } from './file-chunks.ts';
import { openPglite } from './pglite.ts';

const root = await mkdtemp(join(tmpdir(), 'tabswarm-stores-'));
let folders = 0;
const freshFolder = (): string => join(root, `${folders++}`);
afterAll(() => rm(root, { recursive: true, force: true }));

describe('store on PGlite', () => {
  // Starting PGlite takes seconds: the cases share a running one, in which each finds empty tables.
  const folder = freshFolder();
  let shared: SqlDatabase;
  let unclosable: SqlDatabase;
  beforeAll(async () => {
    shared = await openPglite(folder);
    unclosable = { ...shared, close: async () => undefined };
  }, 120_000);
  afterAll(() => shared.close());

  const cases = storeAcceptance(async () => {
    await shared.query('DROP TABLE IF EXISTS tabswarm_streams, tabswarm_facts, tabswarm_keys');
    return { open: () => createSqlStore(unclosable) };
  });
  it.each(cases)(
    '$title',
    async ({ run }) => {
      await expect(run()).resolves.toBeUndefined();
    },
    60_000,
  );

  it('a transaction that fails fails its appends, and the store goes on', async () => {
    let broken = false;
    const store = await createSqlStore({
      ...unclosable,
      transaction: (work) => (broken ? Promise.reject(new Error('no space left')) : shared.transaction(work)),
    });
    const epoch = await store.claim('broken');
    broken = true;
    await expect(store.append([{ stream: 'broken', epoch, fact: 1 }])).rejects.toThrow('no space left');
    broken = false;
    await store.append([{ stream: 'broken', epoch, fact: 2 }]);
    expect((await store.load('broken')).facts).toEqual([2]);
  }, 60_000);

  it('a key that another hub takes between the look and the insert refuses its own append only', async () => {
    const blind = (connection: SqlConnection): SqlConnection => ({
      query: async (statement, parameters) => {
        const rows = await connection.query(statement, parameters);
        return statement.startsWith('SELECT key') ? [] : rows;
      },
    });
    const store = await createSqlStore({
      ...unclosable,
      transaction: (work) => shared.transaction((connection) => work(blind(connection))),
    });
    const epoch = await store.claim('raced');
    const record = (fact: number, unique: string) => [{ stream: 'raced', epoch, fact, unique }];
    await store.append(record(0, 'raced 0'));
    const first = store.append(record(1, 'raced 1'));
    const outcomes = await Promise.allSettled([
      first,
      store.append(record(2, 'raced 2')),
      store.append(record(3, 'raced 0')),
      store.append(record(4, 'raced 4')),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[2]).toMatchObject({ reason: { name: 'DuplicateKeyError' } });
    expect((await store.load('raced')).facts).toEqual([0, 1, 2, 4]);
  }, 60_000);

  it('a process killed in the middle of its appends loses no acknowledged one', async () => {
    await shared.close();
    const output = join(process.cwd(), '.tabswarm', 'test', `killed-${process.pid}`);
    await build({
      configFile: false,
      logLevel: 'error',
      build: { ssr: 'src/node/append-until-killed.ts', outDir: output, target: 'node20', minify: false },
    });
    const acknowledged = await appendUntilKilled(join(output, 'append-until-killed.js'), folder, 60);
    await rm(output, { recursive: true, force: true });
    const store = await createSqlStore(await openPglite(folder));
    const { facts } = await store.load('until killed');
    expect(acknowledged.length).toBeGreaterThanOrEqual(60);
    expect(facts).toEqual(expect.arrayContaining([...acknowledged]));
    await store.close();
  }, 180_000);
});

/** Runs the program until it has acknowledged so many appends, kills it, and gives all that it acknowledged. */
async function appendUntilKilled(program: string, folder: string, count: number): Promise<readonly number[]> {
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once('close', (_, signal) => resolve(signal)));
  const acknowledged: number[] = [];
  for await (const line of createInterface(child.stdout)) {
    acknowledged.push(Number(line));
    if (acknowledged.length === count) child.kill('SIGKILL');
  }
  expect(await ended).toBe('SIGKILL');
  return acknowledged;
}

describe('chunks as files', () => {
  const cases = chunksAcceptance(async () => {
    const folder = freshFolder();
    return { open: () => openFileChunks({ folder, digestBytes: sha256Large }) };
  });
  it.each(cases)('$title', async ({ run }) => {
    await expect(run()).resolves.toBeUndefined();
  });

  const bytes = utf8('a chunk');
  const name = sha256(bytes);
  const pathIn = (folder: string): string => join(folder, name.slice(0, 2), name);

  it('a file that the disk spoiled counts as missing, is removed, and can be put again', async () => {
    const folder = freshFolder();
    const chunks = await openFileChunks({ folder, digestBytes: sha256Large });
    await chunks.put(name, bytes);
    expect(await readFile(pathIn(folder), 'utf8')).toBe('a chunk');
    await writeFile(pathIn(folder), 'a chonk');
    expect(await chunks.get(name)).toBeUndefined();
    expect(await chunks.has(name)).toBe(false);
    expect(await chunks.usage()).toEqual({ chunks: 0, bytes: 0 });
    await chunks.put(name, bytes);
    expect(await chunks.get(name)).toEqual(bytes);
  });

  it('a file that somebody removed counts as missing', async () => {
    const folder = freshFolder();
    const chunks = await openFileChunks({ folder, digestBytes: sha256Large });
    await chunks.put(name, bytes);
    await rm(pathIn(folder));
    expect(await chunks.get(name)).toBeUndefined();
    expect(await chunks.usage()).toEqual({ chunks: 0, bytes: 0 });
  });

  it('what a killed process was still writing is no chunk and is cleared away', async () => {
    const folder = freshFolder();
    await mkdir(join(folder, 'incoming'), { recursive: true });
    await writeFile(join(folder, 'incoming', `${name}.0`), 'a ch');
    await mkdir(join(folder, name.slice(0, 2)));
    await writeFile(join(folder, name.slice(0, 2), 'notes.txt'), 'not a chunk');
    const chunks = await openFileChunks({ folder, digestBytes: sha256Large });
    expect(await chunks.usage()).toEqual({ chunks: 0, bytes: 0 });
    await expect(readFile(join(folder, 'incoming', `${name}.0`))).rejects.toThrow('ENOENT');
  });
});
