/**
 * The hub's own signalling server: PeerJS's `peer` package behind an admission that gives a peer id to the holder of its
 * key only, and drops what no PeerJS client of ours would send, since a malformed offer would break the peer it reaches.
 * It mounts on the hub's HTTP server, or stands alone.
 */

import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { ExpressPeerServer } from 'peer';
import { WebSocket, WebSocketServer } from 'ws';
import { verifySignature } from '../../adapters/crypto/identity.ts';
import { fromUtf8 } from '../../core/bytes.ts';
import { signalBytesMax } from '../../core/limits.ts';
import { parseJson, peerId, v } from '../../core/schema.ts';
import type { Verify } from '../../protocol/identity.ts';
import { checkSignalToken, signalKey } from '../../protocol/signal-token.ts';
import { attachUpgrades, refuseUpgrade, type UpgradeRoute } from './upgrades.ts';

export interface SignallingOptions {
  /** Where it is mounted on its HTTP server. */
  readonly path?: string;
  readonly verify?: Verify;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface Signalling {
  readonly route: UpgradeRoute;
  /** Answers `GET <path>` with what this server is. */
  readonly httpHandler: RequestListener;
  close(): Promise<void>;
}

const connectionId = v.pipe(v.string(), v.maxLength(100));
const sdp = (type: 'offer' | 'answer') => v.object({ type: v.literal(type), sdp: v.string() });
const data = v.literal('data');

/** What PeerJS clients of ours send; other fields are left as they are. */
const signalMessage = v.variant('type', [
  v.object({ type: v.literal('HEARTBEAT') }),
  v.object({ type: v.literal('LEAVE'), dst: v.optional(peerId) }),
  v.object({
    type: v.literal('OFFER'),
    dst: peerId,
    payload: v.object({ type: data, connectionId, serialization: v.literal('raw'), sdp: sdp('offer') }),
  }),
  v.object({
    type: v.literal('ANSWER'),
    dst: peerId,
    payload: v.object({ type: data, connectionId, sdp: sdp('answer') }),
  }),
  v.object({
    type: v.literal('CANDIDATE'),
    dst: peerId,
    payload: v.object({ type: data, connectionId, candidate: v.object({ candidate: v.string() }) }),
  }),
]);

function isSignalMessage(raw: unknown): boolean {
  if (!(raw instanceof Uint8Array)) return false;
  try {
    return parseJson(signalMessage, fromUtf8(raw), 'signal').ok;
  } catch {
    return false;
  }
}

/** A server's socket that shows the `peer` package only messages that every peer can take. */
class ScreenedWebSocket extends WebSocket {
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    if (event === 'message' && !isSignalMessage(values[0])) {
      this.close(1008, 'not a signalling message');
      return true;
    }
    return super.emit(event, ...values);
  }
}

export function createSignalling({
  path = '/signal',
  verify = verifySignature,
  now = Date.now,
}: SignallingOptions = {}): Signalling {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: signalBytesMax,
    perMessageDeflate: false,
    WebSocket: ScreenedWebSocket,
  });
  // The package starts when it is mounted, wants a server to listen on and an express application to be mounted in; its
  // own factory gives both parts, and upgrades come through our router instead of a server of its own.
  const options = { path, key: signalKey, allow_discovery: false, createWebSocketServer: () => sockets };
  const application = ExpressPeerServer(createServer());
  const server = ExpressPeerServer(createServer(), options);
  server.on('error', () => {});
  application.use(server);

  const holders = new Map<string, WebSocket>();

  async function admit(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(request.url ?? '', 'http://localhost');
    const id = url.searchParams.get('id') ?? '';
    if (url.searchParams.get('key') !== signalKey) return refuseUpgrade(socket, 401, 'signalling: unknown key');
    const checked = await checkSignalToken(id, url.searchParams.get('token') ?? '', now(), verify);
    if (!checked.ok) return refuseUpgrade(socket, 401, checked.error.text);
    await forget(id);
    // A proved holder is let in whatever time its token carries, so the package sees one token for each key.
    url.searchParams.set('token', id);
    request.url = url.pathname + url.search;
    sockets.handleUpgrade(request, socket, head, (opened) => {
      holders.set(id, opened);
      opened.once('close', () => holders.get(id) === opened && holders.delete(id));
      sockets.emit('connection', opened, request);
    });
  }

  /** The holder of a key came back, so its older socket is stale, though the server may not have noticed. */
  async function forget(id: string): Promise<void> {
    const stale = holders.get(id);
    if (stale === undefined || stale.readyState === WebSocket.CLOSED) return;
    const closed = new Promise((resolve) => stale.once('close', resolve));
    stale.terminate();
    await closed;
  }

  return {
    route: {
      path: `${path}/peerjs`,
      handle(request, socket, head) {
        admit(request, socket, head).catch(() => socket.destroy());
      },
    },
    httpHandler: application,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      await new Promise((resolve) => sockets.close(resolve));
    },
  };
}

export interface RunningSignalling {
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

/** A signalling server of its own; port 0 takes a free one. */
export async function startSignalling(
  options: SignallingOptions & { readonly port?: number; readonly host?: string } = {},
): Promise<RunningSignalling> {
  const { port = 0, host = '127.0.0.1', path = '/signal' } = options;
  const signalling = createSignalling(options);
  const server = createServer(signalling.httpHandler);
  const detach = attachUpgrades(server, [signalling.route]);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const taken = (server.address() as AddressInfo).port;
  return {
    port: taken,
    url: `ws://${host}:${taken}${path}`,
    async close() {
      detach();
      await signalling.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
