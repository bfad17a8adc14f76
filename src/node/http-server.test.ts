/** The hub's HTTP server from the outside: files, documents, upgrades, TLS, and its ends. */

import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { get as httpsGet } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { InputError } from '../core/result.ts';
import { namesOfThisMachine, ownCertificate, readCertificate } from './certificate.ts';
import { startHttpServer, type HttpServerOptions, type RunningHttpServer } from './http-server.ts';

let folder: string;
let running: RunningHttpServer[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-http-'));
});
afterEach(async () => {
  await Promise.all(running.map((server) => server.close()));
  running = [];
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<HttpServerOptions> = {}): Promise<RunningHttpServer> {
  const server = await startHttpServer({
    port: 0,
    host: '127.0.0.1',
    health: () => ({ ok: true, volunteers: 3 }),
    bootstrap: () => ({ signal: 'here' }),
    ...options,
  });
  running.push(server);
  return server;
}

async function site(): Promise<string> {
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>t</title>');
  await writeFile(join(folder, 'consent.html'), '<!doctype html><title>c</title>');
  await writeFile(join(folder, 'assets', 'main-1a2b.js'), 'export {};');
  await writeFile(join(folder, 'model.wasm'), 'x');
  await writeFile(join(folder, 'add.wgsl'), 'fn f() {}');
  return folder;
}

describe('the site', () => {
  it.each([
    ['/', 'text/html;charset=utf-8', 'no-cache'],
    ['/assets/main-1a2b.js', 'text/javascript', 'public, max-age=31536000, immutable'],
    ['/model.wasm', 'application/wasm', 'no-cache'],
    ['/add.wgsl', 'text/wgsl; charset=utf-8', 'no-cache'],
  ])('%s has the type %s and is kept as %s', async (path, type, cache) => {
    const { url } = await start({ siteFolder: await site() });
    const response = await fetch(url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(type);
    expect(response.headers.get('cache-control')).toBe(cache);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    await response.arrayBuffer();
  });

  it('lets other sites frame the consent page and nothing else', async () => {
    const { url } = await start({ siteFolder: await site() });
    const [home, consent] = [await fetch(`${url}/`), await fetch(`${url}/consent.html`)];
    expect(home.headers.get('x-frame-options')).toBe('DENY');
    expect(home.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(consent.headers.get('x-frame-options')).toBeNull();
    expect(consent.headers.get('content-security-policy')).toContain('frame-ancestors *');
  });

  it.each([
    '/nothing',
    '/../certificate-key.pem',
    '/%2e%2e/certificate-key.pem',
    '/assets/..%2f..%2fetc/passwd',
    '/%zz',
  ])('answers 404 to %s', async (path) => {
    const { url } = await start({ siteFolder: await site() });
    const response = await fetch(url + path);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('there is no /');
  });

  it('that is not built is one line with the mend', async () => {
    const { url } = await start({ siteFolder: join(folder, 'dist') });
    expect(await (await fetch(url)).text()).toBe('the site is not built: run `npm run build` and start again\n');
  });
});

describe('documents and routes', () => {
  it('health and bootstrap are fresh JSON that every origin may read', async () => {
    let ok = true;
    const { url } = await start({ health: () => ({ ok, volunteers: 3 }) });
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { ok: true, volunteers: 3 }]);
    expect(health.headers.get('cache-control')).toBe('no-store');
    ok = false;
    expect((await fetch(`${url}/healthz`)).status).toBe(503);
    const bootstrap = await fetch(`${url}/bootstrap.json?room=1`);
    expect(await bootstrap.json()).toEqual({ signal: 'here' });
    expect(bootstrap.headers.get('access-control-allow-origin')).toBe('*');
  });

  it('a route has its path and what is below it, with any method; the rest takes GET only', async () => {
    const { url } = await start({
      routes: [{ path: '/signal', handle: (request, response) => response.end(`${request.method} ${request.url}`) }],
    });
    expect(await (await fetch(`${url}/signal/a?b`, { method: 'POST' })).text()).toBe('POST /signal/a?b');
    expect(await (await fetch(`${url}/signal`)).text()).toBe('GET /signal');
    expect((await fetch(`${url}/signals`)).status).toBe(404);
    const refused = await fetch(`${url}/healthz`, { method: 'POST' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});

it('upgrades reach the socket of their path, and closing the server ends them', async () => {
  const sockets = new WebSocketServer({ noServer: true });
  const { url, close } = await start({
    upgrades: [
      {
        path: '/socket',
        handle: (request, socket, head) =>
          sockets.handleUpgrade(request, socket, head, (opened) => opened.send('hello')),
      },
    ],
  });
  const client = new WebSocket(`${url.replace('http', 'ws')}/socket`);
  expect(await new Promise((resolve) => client.once('message', (data) => resolve(String(data))))).toBe('hello');
  const stranger = new WebSocket(`${url.replace('http', 'ws')}/other`);
  expect(await new Promise((resolve) => stranger.once('error', (error) => resolve(error.message)))).toContain('404');
  const closed = new Promise((resolve) => client.once('close', resolve));
  await Promise.all([close(), closed]);
});

it('a port that is taken is one line with the mend', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const attempt = start({ port });
  await expect(attempt).rejects.toThrow(InputError);
  await expect(attempt).rejects.toThrow(
    `port ${port} is taken: stop the program that has it, or choose another with --port`,
  );
  await new Promise((resolve) => other.close(resolve));
});

it('closing lets a request in progress end', async () => {
  let release = (): void => undefined;
  const arrived = new Promise<void>((resolve) => {
    release = resolve;
  });
  let finish = (): void => undefined;
  const { url, close } = await start({
    routes: [
      {
        path: '/slow',
        handle: (_request, response) => {
          finish = () => response.end('done');
          release();
        },
      },
    ],
  });
  const request = fetch(`${url}/slow`);
  await arrived;
  const closing = close();
  finish();
  expect(await (await request).text()).toBe('done');
  await closing;
  await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed');
});

describe('the certificate that a hub makes', () => {
  it('is for this machine, is kept, and serves https', async () => {
    const made = await ownCertificate(folder);
    const parsed = new X509Certificate(made.cert);
    expect(parsed.checkHost('localhost')).toBe('localhost');
    for (const address of ['127.0.0.1', '::1']) expect(parsed.checkIP(address)).toBe(address);
    expect(namesOfThisMachine()).toContain('localhost');
    expect((await stat(join(folder, 'certificate-key.pem'))).mode & 0o777).toBe(0o600);
    expect(await ownCertificate(folder)).toEqual(made);

    const { url, port } = await start({ https: made });
    expect(url).toBe(`https://localhost:${port}`);
    const status = await new Promise((resolve, reject) => {
      // The certificate itself is the only authority, so that its names and dates are really checked.
      httpsGet(`${url}/healthz`, { ca: made.cert, family: 4 }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).once('error', reject);
    });
    expect(status).toBe(200);
  });

  it('is made again for a new address, and where the file is spoiled', async () => {
    const first = await ownCertificate(folder, ['localhost']);
    const second = await ownCertificate(folder, ['localhost', '192.0.2.7']);
    expect(second.cert).not.toBe(first.cert);
    expect(new X509Certificate(second.cert).checkIP('192.0.2.7')).toBe('192.0.2.7');
    await writeFile(join(folder, 'certificate.pem'), 'spoiled');
    const third = await ownCertificate(folder, ['localhost']);
    expect(await readFile(join(folder, 'certificate.pem'), 'utf8')).toBe(third.cert);
  });

  it('may be given instead; what is wrong with given files is one line', async () => {
    await ownCertificate(folder, ['localhost']);
    const paths = [join(folder, 'certificate.pem'), join(folder, 'certificate-key.pem')] as const;
    expect((await readCertificate(...paths)).key).toContain('PRIVATE KEY');
    await expect(readCertificate(join(folder, 'none.pem'), paths[1])).rejects.toThrow('--cert ');
    const swapped = await readCertificate(paths[1], paths[0]);
    await expect(start({ https: swapped })).rejects.toThrow('check --cert, --key');
  });
});
