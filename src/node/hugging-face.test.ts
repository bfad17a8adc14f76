/**
 * Models from Hugging Face's hub, against a server that answers as the hub does: the two questions that are asked of it
 * (a revision's commit, a file's address), files behind a redirect to another server, and refusals by status and code.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parseHubAddress } from '../adapters/source/hugging-face.ts';
import { concatAll, equalBytes, utf8, viewBytes } from '../core/bytes.ts';
import { initialParameters } from '../models/llama-parameters.ts';
import { encodeGguf } from '../models/weights/encode-gguf.ts';
import { encodeLlama, llamaGguf } from '../models/weights/encode-llama.ts';
import { encodeConfig } from '../models/weights/llama-config.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { readModel } from './model-source.ts';
import { nameOf } from './serve-model.ts';

const config: ModelConfig = {
  architecture: 'llama',
  layers: 1,
  width: 32,
  hidden: 64,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 256,
  context: 16,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const parameters = initialParameters(config, 3);
const files: Readonly<Record<string, Uint8Array>> = {
  'config.json': utf8(encodeConfig(config)),
  'model.safetensors': encodeLlama(config, parameters),
  'small/own.gguf': concatAll([...encodeGguf(llamaGguf(config, parameters, 'f32'))]),
};
const commit = '0123456789abcdef0123456789abcdef01234567';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const closers: (() => void)[] = [];
async function listen(answer: Answer): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

const asked: string[] = [];
let knowsRanges = true;

function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined || !knowsRanges) return void response.writeHead(200, { etag: '"e"' }).end(bytes);
  const end = Math.min(Number(last), bytes.length - 1);
  response
    .writeHead(206, { etag: '"e"', 'content-range': `bytes ${first}-${end}/${bytes.length}` })
    .end(bytes.subarray(Number(first), end + 1));
}

let hub = '';
beforeAll(async () => {
  const files2 = await listen((request, response) => {
    asked.push(`content ${request.headers.range ?? 'whole'}`);
    sendRange(request, response, files[decodeURIComponent((request.url ?? '').slice(1))] ?? new Uint8Array());
  });
  hub = await listen((request, response) => {
    const url = new URL(request.url ?? '', 'http://hub');
    asked.push(`hub ${url.pathname} ${request.headers.authorization ?? 'nobody'}`);
    const refuse = (status: number, code: string): void =>
      void response
        .writeHead(status, { 'x-error-code': code, 'content-type': 'application/json' })
        .end('{"error":"no"}');
    if (url.pathname.startsWith('/owner/busy/')) return refuse(500, 'Broken');
    if (url.pathname.includes('/other/')) return refuse(401, 'RepoNotFound');
    const [, revision] = /^\/api\/models\/owner\/net\/revision\/(\w+)$/.exec(url.pathname) ?? [];
    if (revision !== undefined) {
      if (revision !== 'main') return refuse(404, 'RevisionNotFound');
      const known = { _id: '1', id: 'owner/net', sha: commit, lastModified: '2026-01-01T00:00:00Z' };
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(known));
    }
    const [, at, path] = /^\/owner\/net\/resolve\/(\w+)\/(.+)$/.exec(url.pathname) ?? [];
    if (path === undefined || at !== commit) return refuse(404, 'RevisionNotFound');
    const bytes = files[path];
    if (bytes === undefined) return refuse(404, 'EntryNotFound');
    // Small files come from the hub itself, large ones from elsewhere.
    if (path === 'config.json') return sendRange(request, response, bytes);
    response.writeHead(302, { location: `${files2}/${encodeURIComponent(path)}` }).end();
  });
  process.env['HF_ENDPOINT'] = hub;
});
afterEach(() => {
  knowsRanges = true;
  delete process.env['HF_TOKEN'];
});
afterAll(() => {
  delete process.env['HF_ENDPOINT'];
  for (const close of closers) close();
});

test.each([`hf:owner/net@${commit}`, `hf:owner/net@${commit}/small/own.gguf`])(
  '%s is read by ranges at its commit',
  async (path) => {
    asked.length = 0;
    const { model, weights } = await readModel(path, undefined);
    expect(model).toEqual(config);
    expect(equalBytes(weights, viewBytes(parameters))).toBe(true);
    expect(asked.filter((one) => one.startsWith('hub')).every((one) => one.includes(`/resolve/${commit}/`))).toBe(true);
    // One byte to learn the length, and then pieces.
    expect(asked.filter((one) => /^content bytes=\d+-\d+$/.test(one)).length).toBeGreaterThan(2);
    expect(asked).not.toContain('content whole');
  },
);

test('a token of the environment goes to the hub, and to nobody behind it', async () => {
  process.env['HF_TOKEN'] = 'hf_test';
  asked.length = 0;
  await readModel(`hf:owner/net@${commit}/small/own.gguf`, undefined);
  const hubs = asked.filter((one) => one.startsWith('hub'));
  expect(hubs.length).toBeGreaterThan(0);
  expect(hubs.every((one) => one.endsWith(' Bearer hf_test'))).toBe(true);
});

test.each<[string, string, RegExp]>([
  [
    'a branch',
    'hf:owner/net@main',
    new RegExp(`^hf:owner/net@main: 'main' may change; name the commit, which now is hf:owner/net@${commit}$`),
  ],
  ['no revision', 'hf:owner/net', new RegExp(`'main' may change; name the commit, which now is .*@${commit}$`)],
  [
    'a branch that is not there',
    'hf:owner/net@next',
    /^hf:owner\/net@next: the hub has no such repository or revision$/,
  ],
  ['a commit that is not there', `hf:owner/net@${'f'.repeat(40)}`, /the hub has no such repository or revision$/],
  [
    'a repository that is not there',
    `hf:other/net@${commit}`,
    /no such repository, or not open to everybody; HF_TOKEN/,
  ],
  [
    'a file that is not there',
    `hf:owner/net@${commit}/none.gguf`,
    /^hf:owner\/net@0123456\/none\.gguf: the repository has no such file at this commit$/,
  ],
  ['a hub that fails', `hf:owner/busy@${commit}`, /the hub answered 500: no/],
  ['no address', 'hf:owner', /^hf:owner: expected hf:OWNER\/NAME@COMMIT or/],
  ['a way out of the repository', `hf:owner/net@${commit}/../x.gguf`, /: expected hf:OWNER/],
])('%s is refused in one line', async (_what, path, line) => {
  const reading = readModel(path, undefined);
  await expect(reading).rejects.toThrow(line);
  await expect(reading).rejects.toThrow(/^[^\n]+$/);
});

test('a hub whose files know no ranges is refused before they are fetched', async () => {
  knowsRanges = false;
  await expect(readModel(`hf:owner/net@${commit}/small/own.gguf`, undefined)).rejects.toThrow(
    /own\.gguf: (the hub's answer is not to be had|does not know range)/,
  );
});

test('addresses say their parts', () => {
  const parsed = parseHubAddress(`hf:a/b.c-1@${commit}/x/y.gguf`);
  expect(parsed).toEqual({ ok: true, value: { repository: 'a/b.c-1', revision: commit, file: 'x/y.gguf' } });
  expect(parseHubAddress('hf:a/b')).toEqual({ ok: true, value: { repository: 'a/b', revision: 'main' } });
});

test('a model is called by its repository or its file where nobody names it', () => {
  expect(nameOf(`hf:owner/net-1.5@${commit}`)).toBe('net-1.5');
  expect(nameOf(`hf:owner/net@${commit}/small/own.gguf`)).toBe('own');
  expect(nameOf('/models/stories260K.bin')).toBe('stories260K');
  expect(nameOf('https://example.org/models/net/')).toBe('net');
});
