/**
 * The hub's HTTP server: the static site, `/healthz`, `/bootstrap.json`, whatever routes its parts bring, and one router
 * for all WebSockets. What the routes do is theirs; here are headers, types, TLS, and an orderly beginning and end.
 */

import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { extname } from 'node:path';
import type { Duplex } from 'node:stream';
import sirv from 'sirv';
import { InputError } from '../core/result.ts';
import { attachUpgrades, type UpgradeRoute } from './net/upgrades.ts';
import { isSystemError } from './system-error.ts';

export interface HttpRoute {
  /** This path and those below it, e.g. `/signal`. */
  readonly path: string;
  readonly handle: RequestListener;
}

export interface HttpServerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly host: string;
  /** Certificate and key in PEM; plain HTTP where it is left out. */
  readonly https?: { readonly cert: string; readonly key: string };
  /** The built site; without it the server has its routes only. */
  readonly siteFolder?: string;
  /** What `/healthz` answers beside `ok`; it answers 503 when `ok` is false. */
  readonly health: () => { readonly ok: boolean };
  /** What `/bootstrap.json` answers. */
  readonly bootstrap: () => object;
  readonly routes?: readonly HttpRoute[];
  readonly upgrades?: readonly UpgradeRoute[];
}

export interface RunningHttpServer {
  readonly port: number;
  /** For people on this machine, e.g. `http://localhost:8787`. */
  readonly url: string;
  /** Takes no more requests, lets those in progress end for a moment, then cuts what is left. */
  close(): Promise<void>;
}

/** How long requests in progress may take to end when the server closes. */
const closeMsMax = 2_000;

export async function startHttpServer(options: HttpServerOptions): Promise<RunningHttpServer> {
  const respond = createResponder(options);
  const server = options.https === undefined ? createServer(respond) : createTls(options.https, respond);
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (_request, socket: Duplex) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
  });
  const detach = attachUpgrades(server, options.upgrades ?? []);
  const port = await listen(server, options.port, options.host);
  return {
    port,
    url: `${options.https === undefined ? 'http' : 'https'}://${shownHost(options.host)}:${port}`,
    close: () => {
      detach();
      return close(server, upgraded);
    },
  };
}

/** Answers by the first route whose path fits, else by the site. */
function createResponder({ siteFolder, health, bootstrap, routes = [] }: HttpServerOptions): RequestListener {
  const site = createSite(siteFolder);
  return (request, response) => {
    setHeaders(response, securityHeaders);
    const path = pathOf(request);
    if (path === undefined) return answer(response, 400, 'the address is malformed');
    const route = routes.find((candidate) => path === candidate.path || path.startsWith(`${candidate.path}/`));
    if (route !== undefined) return route.handle(request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return answer(response, 405, `${request.method ?? ''} is not possible here, only GET`);
    }
    if (path === '/healthz') {
      const state = health();
      return answerJson(response, state.ok ? 200 : 503, state);
    }
    if (path === '/bootstrap.json') return answerJson(response, 200, bootstrap());
    site(request, response, path);
  };
}

type SiteHandler = (request: IncomingMessage, response: ServerResponse, path: string) => void;

function createSite(folder: string | undefined): SiteHandler {
  const missing = (response: ServerResponse, path: string): void => answer(response, 404, `there is no ${path} here`);
  if (folder === undefined) return (_request, response, path) => missing(response, path);
  if (!existsSync(folder)) {
    return (_request, response) => answer(response, 404, 'the site is not built: run `npm run build` and start again');
  }
  const serve = sirv(folder, {
    etag: true,
    gzip: true,
    brotli: true,
    setHeaders: (response, path) => {
      // Bundled files carry the hash of their content in their names; all others are asked for again.
      const hashed = path.startsWith('/assets/');
      response.setHeader('cache-control', hashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      const type = typesOfOurs[extname(path)];
      if (type !== undefined) response.setHeader('content-type', type);
      // Pages on other sites load the widget, and the tests' pages read shaders.
      response.setHeader('access-control-allow-origin', '*');
      if (framedPages.has(path)) response.removeHeader('x-frame-options');
      if (path === '/' || path.endsWith('.html')) response.setHeader('content-security-policy', policyOf(path));
    },
  });
  return (request, response, path) => serve(request, response, () => missing(response, path));
}

/** Types that the usual tables do not know. */
const typesOfOurs: Readonly<Record<string, string>> = {
  '.wgsl': 'text/wgsl; charset=utf-8',
  '.safetensors': 'application/octet-stream',
};

/** These stand in frames on other sites; any other page in a frame could be clicked without being seen. */
const framedPages: ReadonlySet<string> = new Set(['/widget.html', '/consent.html']);

const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'strict-origin-when-cross-origin',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'cross-origin',
};

/** Scripts are the site's own files only; links go to hubs and origins of weights anywhere. */
function policyOf(path: string): string {
  return [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    'connect-src * data: blob:',
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    `frame-ancestors ${framedPages.has(path) ? '*' : "'none'"}`,
  ].join('; ');
}

export function answerJson(response: ServerResponse, status: number, value: object): void {
  setHeaders(response, { 'cache-control': 'no-store', 'access-control-allow-origin': '*' });
  send(response, status, 'application/json; charset=utf-8', JSON.stringify(value));
}

function answer(response: ServerResponse, status: number, line: string): void {
  send(response, status, 'text/plain; charset=utf-8', `${line}\n`);
}

/** A HEAD gets the same headers; Node leaves the body away itself. */
function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function setHeaders(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

function pathOf(request: IncomingMessage): string | undefined {
  try {
    return new URL(request.url ?? '', 'http://localhost').pathname;
  } catch {
    return undefined;
  }
}

function createTls(https: { readonly cert: string; readonly key: string }, respond: RequestListener): TlsServer {
  try {
    return createTlsServer({ cert: https.cert, key: https.key }, respond);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new InputError(`the certificate and the key do not go together or are not PEM (${why}): check --cert, --key`);
  }
}

async function listen(server: Server | TlsServer, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explain(error, port, host)));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/** Rejects with the reason where this port cannot be had, for whoever has costly things to do before it listens. */
export async function checkPort(port: number, host: string): Promise<void> {
  const server = createServer();
  await listen(server, port, host);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function explain(error: Error, port: number, host: string): Error {
  if (isSystemError(error, 'EADDRINUSE')) {
    return new InputError(`port ${port} is taken: stop the program that has it, or choose another with --port`);
  }
  if (isSystemError(error, 'EACCES')) {
    return new InputError(`port ${port} needs more rights than this user has: choose one above 1023 with --port`);
  }
  if (isSystemError(error, 'EADDRNOTAVAIL', 'ENOTFOUND')) {
    return new InputError(`${host} is no address of this machine: choose another with --host`);
  }
  return error;
}

const shownHost = (host: string): string => {
  if (host === '0.0.0.0' || host === '::' || host === '127.0.0.1' || host === '::1') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
};

async function close(server: Server | TlsServer, upgraded: ReadonlySet<Duplex>): Promise<void> {
  for (const socket of upgraded) socket.destroy();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // Connections that are kept alive become idle one by one, as their last responses end.
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const cut = setTimeout(() => server.closeAllConnections(), closeMsMax);
  server.closeIdleConnections();
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
