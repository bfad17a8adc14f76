import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createToyAnswering, toyModel } from '../../assembly/toy-answering.fixture.ts';
import type { JobId } from '../../core/ids.ts';
import { startHttpServer, type RunningHttpServer } from '../http-server.ts';
import { addApiKey, apiKeysPath, createKeyRing, listApiKeys, readOwnKeys, revokeApiKey } from './api-keys.ts';
import { openReceipts, type AnswerReceipt } from './receipts.ts';
import { createOpenAiHandler } from './routes.ts';

let folder = '';
let server: RunningHttpServer;
let own: ReadonlySet<string> = new Set();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-keys-'));
  own = new Set();
  server = await startHttpServer({
    port: 0,
    host: '127.0.0.1',
    health: () => ({ ok: true }),
    bootstrap: () => ({}),
    routes: [
      {
        path: '/v1',
        handle: createOpenAiHandler({
          answering: createToyAnswering({ models: [toyModel('toy')], next: () => undefined }),
          read: async () => new Uint8Array(),
          keys: { hasKeys: () => ring().hasKeys(), accepts: (key) => ring().accepts(key) },
          receipts: await openReceipts(join(folder, 'receipts')),
          unixSeconds: () => 0,
          report: (line) => expect.unreachable(line),
        }),
      },
    ],
  });
  const kept = createKeyRing(folder);
  ring = () => (own.size === 0 ? kept : createKeyRing(folder, own));
});
let ring = () => createKeyRing(folder);
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** With headers that `fetch` would not let one set. */
const statusOf = (headers: Record<string, string>, method = 'GET'): Promise<number> =>
  new Promise((resolve, reject) => {
    const asking = httpRequest(`http://127.0.0.1:${server.port}/v1/models`, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asking.on('error', reject);
    asking.end();
  });
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe('without keys', () => {
  test('programs of this machine are let in, by whichever name of it', async () => {
    expect(await statusOf({})).toBe(200);
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      expect(await statusOf({ host: `${host}:${server.port}` }), host).toBe(200);
    expect(await statusOf({ host: `localhost:1`, origin: 'http://localhost:1' }), 'a page of the hub itself').toBe(200);
  });

  test.each([
    ['a page of another site', { origin: 'https://example.org' }],
    ['a page that hides where it is', { origin: 'null' }],
    ['another name that leads here', { host: 'example.org' }],
    ['what a proxy brings', { 'x-forwarded-for': '203.0.113.7' }],
    ['what a proxy brings, said the new way', { forwarded: 'for=203.0.113.7' }],
  ])('%s is not', async (_, headers: Record<string, string>) => {
    expect(await statusOf(headers)).toBe(401);
    expect(await statusOf(headers, 'OPTIONS'), 'nor told that it may ask').toBe(401);
  });
});

describe('with keys', () => {
  test('nobody is let in without one, also on this machine; what is added and revoked counts at once', async () => {
    const { key, kept } = await addApiKey(folder, 'me');
    expect(await statusOf({})).toBe(401);
    expect(await statusOf(bearer(key))).toBe(200);
    expect(await statusOf({ ...bearer(key), origin: 'https://example.org', host: 'example.org' })).toBe(200);
    expect(await statusOf(bearer(`${key}x`))).toBe(401);
    expect(await statusOf({ authorization: `Basic ${key}` })).toBe(401);
    const { key: second } = await addApiKey(folder, 'you');
    expect(await statusOf(bearer(second))).toBe(200);
    await revokeApiKey(folder, kept.id);
    expect([await statusOf(bearer(key)), await statusOf(bearer(second))]).toEqual([401, 200]);
  });

  test('the data folder holds hashes, and no key', async () => {
    const { key, kept } = await addApiKey(folder, 'me');
    const text = await readFile(apiKeysPath(folder), 'utf8');
    expect(text).toContain(kept.hash);
    expect(text).not.toContain(key);
    expect(text).not.toContain(key.slice(3, 20));
    expect(await listApiKeys(folder)).toMatchObject([{ name: 'me', id: kept.id }]);
  });

  test('one that is not there cannot be revoked, and a damaged file is named', async () => {
    await expect(revokeApiKey(folder, 'deadbeef')).rejects.toThrow('--revoke deadbeef: there is no such key');
    await writeFile(apiKeysPath(folder), '{"version":1,"keys":[{}]}');
    await expect(listApiKeys(folder)).rejects.toThrow(/api-keys\.json: keys\.0/);
  });

  test("an operator's own file has one on each line, long enough not to be guessed", async () => {
    const path = join(folder, 'own.txt');
    await writeFile(path, '# mine\n\nsk-0123456789abcdef0123\n  sk-another-key-that-is-long  \n');
    own = await readOwnKeys(path);
    expect(await statusOf(bearer('sk-another-key-that-is-long'))).toBe(200);
    expect(await statusOf(bearer('# mine'))).toBe(401);
    await writeFile(path, 'short\n');
    await expect(readOwnKeys(path)).rejects.toThrow('key 1 is shorter than 20 characters');
    await writeFile(path, '# none\n');
    await expect(readOwnKeys(path)).rejects.toThrow('no keys in it');
    await expect(readOwnKeys(join(folder, 'absent'))).rejects.toThrow('cannot be read');
  });
});

test('of receipts only the newest are kept, also by the next process', async () => {
  const shelf = await openReceipts(join(folder, 'few'), 3);
  const receipt = (created: number): AnswerReceipt => ({
    version: 1,
    created,
    model: 'toy',
    job: 'ab'.repeat(32) as JobId,
    seed: 0,
    prompt_tokens: 1,
    completion_tokens: 1,
    choices: [],
    computed_by: [],
  });
  const ids: string[] = [];
  for (let index = 0; index < 5; index++) ids.push(await shelf.keep(receipt(index)));
  await writeFile(join(folder, 'few', 'half.new'), 'x');
  const again = await openReceipts(join(folder, 'few'), 3);
  const there = await Promise.all(ids.map(async (id) => (await again.read(id)) !== undefined));
  expect(there).toEqual([false, false, true, true, true]);
  expect(await again.keep(receipt(4)), 'the same receipt is the same file').toBe(ids[4]);
});
