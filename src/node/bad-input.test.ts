/**
 * What people get wrong on the command line and in files: each is one line on standard error that says what and where,
 * with exit code 2, and nothing of it reaches the hub, which then takes the same job put right.
 */

import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import { createMemoryStore } from '../adapters/store/memory-store.ts';
import { startHub, type RunningHub } from '../assembly/hub.ts';
import { createRandom } from '../core/prng.ts';
import { protocolVersion } from '../protocol/versions.ts';
import { startHttpServer, type RunningHttpServer } from './http-server.ts';
import { startHubServer } from './hub-server.ts';
import { createSocketListener } from './net/socket-listener.ts';
import { explainError } from './output.ts';
import { runProgram } from './program.ts';

let folder: string;
let hub: RunningHub;
let server: RunningHttpServer;

/** A hub with sockets only: nobody volunteers here. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-bad-input-'));
  const identity = await createIdentity({ accountKey: await (await ed25519()).generate() });
  const sockets = createSocketListener({ path: '/socket' });
  hub = await startHub({
    identity,
    verify: verifySignature,
    digestOf: sha256Large,
    store: createMemoryStore(),
    chunks: createMemoryChunks({ digestBytes: sha256Large }),
    listeners: [sockets],
    clock: systemClock,
    random: createRandom(1),
    unixSeconds: () => Math.floor(Date.now() / 1000),
    report: () => {},
  });
  const { peer, account } = identity;
  server = await startHttpServer({
    port: 0,
    host: '127.0.0.1',
    health: () => ({ ok: true }),
    bootstrap: () => ({
      version: protocolVersion,
      peer,
      account,
      signal: { url: 'signal' },
      socket: 'socket',
      iceServers: [],
    }),
    upgrades: [sockets.route],
  });
});
afterAll(async () => {
  await hub.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function run(...words: readonly string[]) {
  const results: string[] = [];
  const progress: string[] = [];
  const code = await runProgram(words, {
    result: (line) => void results.push(line),
    progress: (line) => void progress.push(line),
  });
  return { code, results, progress };
}

async function expectRefused(words: readonly string[], line: string | RegExp): Promise<void> {
  const { code, results, progress } = await run(...words);
  expect(progress).toHaveLength(1);
  expect(progress[0]).toMatch(line);
  expect(progress[0]).not.toContain('\n');
  expect([code, results]).toEqual([2, []]);
}

const shader = [
  '@group(0) @binding(0) var<uniform> unit: vec4u;',
  '@group(0) @binding(1) var<storage, read_write> squares: array<u32>;',
  '@compute @workgroup_size(1)',
  'fn main() { squares[0] = unit.x * unit.x; }',
].join('\n');

const job = {
  version: 1,
  name: 'squares',
  program: 'shader',
  shader: 'squares.wgsl',
  buffers: [
    { binding: 0, kind: 'unit' },
    { binding: 1, kind: 'output', type: 'u32', count: 4 },
  ],
  grid: [1, 1, 1],
  units: { count: 4 },
};

/** A folder of its own with this job and shader; the job file's path. */
async function writeJob(value: unknown, wgsl: string | undefined = shader): Promise<string> {
  const own = await mkdtemp(join(folder, 'job-'));
  if (wgsl !== '') await writeFile(join(own, 'squares.wgsl'), wgsl);
  const path = join(own, 'job.json');
  await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}

const submit = (path: string): string[] => ['submit', path, '--hub', server.url, '--data', join(folder, 'account')];
const without = (name: keyof typeof job) => ({ ...job, [name]: undefined });
const withOutput = (output: object) => ({ ...job, buffers: [{ binding: 0, kind: 'unit' }, output] });

describe('a job file', () => {
  it.each<[string, unknown, string | undefined, RegExp]>([
    ['that is not JSON', '{"version": 1,', shader, /job\.json: not JSON: /],
    ['with an unknown field', { ...job, colour: 'red' }, shader, /job\.json: colour: /],
    ['with a field missing', without('shader'), shader, /job\.json: shader: /],
    ['of an unknown version', { ...job, version: 2 }, shader, /job\.json: version: /],
    ['with no units', { ...job, units: { count: 0 } }, shader, /job\.json: units/],
    ['whose shader is not there', job, '', /squares\.wgsl: no such file/],
    [
      'whose shader does not compile, by line and column of the file',
      job,
      shader.replace('unit.x *', 'unt.x *'),
      /squares\.wgsl:4:\d+: unresolved value 'unt'/,
    ],
    [
      'whose shader binds what the job does not give',
      { ...job, buffers: [{ binding: 1, kind: 'output', type: 'u32', count: 4 }] },
      shader,
      /squares\.wgsl: main uses unit at @group\(0\) @binding\(0\), but the job has no buffer for it/,
    ],
    [
      'whose kind of buffer is not the shader’s',
      withOutput({ binding: 1, kind: 'input', data: { u32: [1] } }),
      shader,
      /binding 1|buffers/,
    ],
    [
      'whose units return more than a unit may',
      withOutput({ binding: 1, kind: 'output', type: 'u32', count: 20_000_000 }),
      shader,
      /80000000 bytes/,
    ],
  ])('%s is refused in one line, before anything is sent', async (_what, value, wgsl, line) => {
    await expectRefused(submit(await writeJob(value, wgsl)), line);
    expect(hub.view().jobs).toEqual([]);
  });

  it('that is not there is named', async () => {
    await expectRefused(submit(join(folder, 'none.json')), /none\.json: no such file/);
  });
});

describe('a hub', () => {
  const path = () => writeJob(job);
  it.each<[string, string, RegExp]>([
    ['without a scheme', 'localhost:8787', /hub address "localhost:8787": not an http or https URL/],
    ['of another scheme', 'ftp://localhost/', /not an http or https URL/],
    ['that is a tab', `peer:${'0'.repeat(32)}@ws://localhost:1/signal`, /lives in a tab and has no socket/],
    ['that nobody runs', 'http://127.0.0.1:1', /no hub answers at http:\/\/127\.0\.0\.1:1; is it running/],
  ])('%s is refused in one line', async (_what, address, line) => {
    await expectRefused(['submit', await path(), '--hub', address, '--data', join(folder, 'account')], line);
    await expectRefused(['jobs', '--hub', address, '--data', join(folder, 'account')], line);
  });

  it('at an address where something else answers is refused in one line', async () => {
    const other = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    await expectRefused(['jobs', '--hub', url, '--data', join(folder, 'account')], /is not a hub: .* is not JSON/);
    await new Promise((resolve) => other.close(resolve));
  });

  it('on a port that is taken says so, and makes no data folder for it', async () => {
    const data = join(folder, 'second-hub');
    const opened = startHubServer({ port: server.port, host: '127.0.0.1', data, site: folder, report: () => {} });
    const error: unknown = await opened.then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(explainError(error)).toEqual({
      line: `port ${server.port} is taken: stop the program that has it, or choose another with --port`,
      exitCode: 2,
    });
    expect(existsSync(data)).toBe(false);
  });
});

describe('an option', () => {
  it.each<[string[], RegExp]>([
    [['hub', '--port', '65536'], /--port .*whole number from 0 to 65535/],
    [['hub', '--port', 'eighty'], /--port .*whole number/],
    [['hub', '--cert', 'a.pem'], /--cert and --key go together/],
    [['hub', '--ice', 'none.json'], /--ice none\.json: cannot be read/],
    [['volunteer', '--tabs', '0'], /--tabs .*whole number from 1 to 64/],
    [['generate', '--model', 'm.bin', '--temperature', '-1'], /--temperature .*number from 0 to 100/],
    [['generate', '--model', 'm.bin', '--samples', '1.5'], /--samples .*whole number/],
    [['generate', '--model', 'm.bin', '--local', '--hub', 'http://localhost'], /--local and --hub exclude each other/],
    [['generate'], /--model or --served: give one/],
    [['generate', '--model', 'm.bin', '--served', 'm'], /--served excludes --model and --stages/],
    [['generate', '--served', 'm'], /--served: name the hub with --hub URL/],
    [['serve'], /--model: missing; name the model to serve/],
    [['serve', '--model', 'm.bin', '--stages', '0'], /expected a whole number from 1 to 64/],
    [['serve', '--model', 'm.bin', '--activations', 'f8'], /Allowed choices are f32, f16, int8/],
    [['hub', '--api-key-file', 'none.txt'], /--api-key-file none\.txt: cannot be read/],
    [['api-keys', '--add', 'a', '--revoke', 'b'], /--add and --revoke exclude each other/],
    [['train', 'none.json'], /none\.json: no such file/],
  ])('%j is refused in one line', async (words, line) => {
    await expectRefused(words, line);
  });
});

describe('a model', () => {
  const header = (...fields: readonly number[]): Uint8Array => new Uint8Array(new Int32Array(fields).buffer);
  it.each<[string, string, Uint8Array | undefined, RegExp]>([
    ['that is not there', 'none', undefined, /none: no such folder or file/],
    ['of a kind that is not known', 'model.xyz', new Uint8Array(8), /model\.xyz: .*(not supported|llama2\.c)/],
    ['that ends inside its header', 'short.bin', header(64, 172), /short\.bin: /],
    ['whose header makes no sense', 'odd.bin', header(-1, 0, 9, 7, 3, 0, 0), /odd\.bin: /],
    ['that ends inside its weights', 'cut.bin', header(64, 172, 5, 8, 4, 512, 512, 0), /cut\.bin: /],
  ])('%s is refused in one line', async (_what, name, bytes, line) => {
    const path = join(folder, name);
    if (bytes !== undefined) await writeFile(path, bytes);
    const tokenizer = join(folder, 'tokenizer.bin');
    await writeFile(tokenizer, new Uint8Array(4));
    await expectRefused(['generate', '--model', path, '--tokenizer', tokenizer, '--prompt', 'a'], line);
  });
});

it('and after all of that the hub takes the job that is right', async () => {
  const { code, results, progress } = await run(...submit(await writeJob(job)));
  expect(code, progress.join('\n')).toBe(0);
  expect(hub.view().jobs.map(({ name, units }) => [name, units])).toEqual([['squares', 4]]);
  expect(results).toEqual([hub.view().jobs[0]?.job]);
});
