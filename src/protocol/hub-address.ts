/**
 * Where a hub is, as people write it in `?hub=` and `--hub`: the URL of a hub that serves `bootstrap.json`, or
 * `peer:<32 hex digits>@<ws(s) URL of a signalling server>` for a hub that lives in a tab. Pure; fetching is left to shells.
 */

import { accountId, parse, peerId, v, whole } from '../core/schema.ts';
import { isPeerId, type PeerId } from '../core/ids.ts';
import { ok, problem, type Result } from '../core/result.ts';

/** Where a signalling server listens, as `adapters/net/peer-link` wants it. */
export interface SignalPlace {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly secure: boolean;
}

export type HubAddress =
  | { readonly kind: 'url'; /** Without a slash at its end. */ readonly url: string; readonly bootstrap: string }
  | { readonly kind: 'peer'; readonly peer: PeerId; readonly signal: SignalPlace };

const iceServerSchema = v.strictObject({
  urls: v.union([v.string(), v.array(v.string())]),
  username: v.optional(v.string()),
  credential: v.optional(v.string()),
});

/** What a hub says at `<url>/bootstrap.json`; URLs in it may be relative to that document. */
const bootstrapSchema = v.strictObject({
  /** The hub's protocol version. */
  version: whole(0, 1_000_000),
  peer: peerId,
  account: accountId,
  signal: v.strictObject({ url: v.pipe(v.string(), v.maxLength(2000)) }),
  /** The WebSocket for submitters, and for volunteers where UDP is blocked. */
  socket: v.pipe(v.string(), v.maxLength(2000)),
  iceServers: v.pipe(v.array(iceServerSchema), v.maxLength(16)),
});
export type Bootstrap = v.InferOutput<typeof bootstrapSchema>;

const expected = 'write http(s)://host[:port][/path], or peer:<32 hex digits>@<ws(s) URL> for a hub in a tab';

export function parseHubAddress(text: string): Result<HubAddress> {
  const trimmed = text.trim();
  if (trimmed.startsWith('peer:')) return parsePeerAddress(trimmed);
  const url = parseUrl(trimmed, ['http:', 'https:']);
  if (url === undefined) return problem('hub-address', `hub address "${text}": not an http or https URL; ${expected}`);
  const base = `${url.origin}${url.pathname}`.replace(/\/+$/, '');
  return ok({ kind: 'url', url: base, bootstrap: `${base}/bootstrap.json` });
}

function parsePeerAddress(text: string): Result<HubAddress> {
  const at = text.indexOf('@');
  const peer = text.slice('peer:'.length, at === -1 ? undefined : at);
  if (!isPeerId(peer))
    return problem('hub-address', `hub address "${text}": a peer is 32 lower-case hex digits; ${expected}`);
  const signal = parseSignalUrl(at === -1 ? '' : text.slice(at + 1));
  return signal.ok
    ? ok({ kind: 'peer', peer, signal: signal.value })
    : problem('hub-address', `hub address "${text}": ${signal.error.text}`);
}

/** The place that a signalling URL (`ws`, `wss`, `http` or `https`) names. */
export function parseSignalUrl(text: string): Result<SignalPlace> {
  const url = parseUrl(text, ['ws:', 'wss:', 'http:', 'https:']);
  if (url === undefined) return problem('hub-address', `signalling server "${text}" is not a ws or wss URL`);
  const secure = url.protocol === 'wss:' || url.protocol === 'https:';
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return ok({ host: url.hostname, port, path: url.pathname.replace(/\/+$/, '') || '/', secure });
}

/** The text that `parseHubAddress` reads back, to share a hub that lives in a tab. */
export function formatPeerAddress(peer: PeerId, { host, port, path, secure }: SignalPlace): string {
  return `peer:${peer}@${secure ? 'wss' : 'ws'}://${host}:${port}${path}`;
}

/** A bootstrap document, its URLs made absolute from where it was fetched. */
export function parseBootstrap(value: unknown, fetchedFrom: string): Result<Bootstrap> {
  const parsed = parse(bootstrapSchema, value, `bootstrap document at ${fetchedFrom}`);
  if (!parsed.ok) return parsed;
  const { signal, socket } = parsed.value;
  const absolute = { signal: websocketUrl(signal.url, fetchedFrom), socket: websocketUrl(socket, fetchedFrom) };
  for (const [field, url] of Object.entries(absolute)) {
    if (url === undefined)
      return problem('hub-address', `bootstrap document at ${fetchedFrom}: ${field}: not a ws or wss URL`);
  }
  return ok({ ...parsed.value, signal: { url: absolute.signal ?? '' }, socket: absolute.socket ?? '' });
}

/** `http` becomes `ws`, as both name one server. */
function websocketUrl(text: string, base: string): string | undefined {
  const url = parseUrl(text, ['ws:', 'wss:', 'http:', 'https:'], base);
  return url?.href.replace(/^http/, 'ws');
}

function parseUrl(text: string, protocols: readonly string[], base?: string): URL | undefined {
  try {
    const url = new URL(text, base);
    return protocols.includes(url.protocol) && url.hostname !== '' ? url : undefined;
  } catch {
    return undefined;
  }
}
