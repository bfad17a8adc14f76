/** The hub's socket for submitters, and for volunteers where UDP is blocked: links over `ws`, on the hub's own port. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { fragmentBytesMax } from '../../core/limits.ts';
import { createSocketLink } from '../../adapters/net/socket-link.ts';
import type { Link, Listener } from '../../protocol/ports.ts';
import { asSocketLike } from './dial-socket.ts';
import { refuseUpgrade, type UpgradeRoute } from './upgrades.ts';

export interface SocketListener extends Listener {
  readonly route: UpgradeRoute;
}

export interface SocketListenerOptions {
  readonly path?: string;
  /** Sockets at once; each may cost some MiB of half-received frames. */
  readonly linksMax?: number;
}

/** How long a far end has to answer a closing. */
const closeMsMax = 500;

export function createSocketListener({
  path = '/socket',
  linksMax = 10_000,
}: SocketListenerOptions = {}): SocketListener {
  const server = new WebSocketServer({ noServer: true, maxPayload: fragmentBytesMax, perMessageDeflate: false });
  const waiting: Link[] = [];
  const links = new Set<Link>();
  let accept: ((link: Link) => void) | undefined;

  const opened = (socket: WebSocket, request: IncomingMessage): void => {
    // `ws` closes a socket that breaks its rules by itself; without a listener the error would end the process.
    socket.on('error', () => {});
    const address = request.socket.remoteAddress;
    const link = createSocketLink(asSocketLike(socket), { remote: `socket ${address ?? 'unknown'}`, address });
    links.add(link);
    link.onClose(() => links.delete(link));
    if (accept === undefined) waiting.push(link);
    else accept(link);
  };

  return {
    route: {
      path,
      handle(request: IncomingMessage, socket: Duplex, head: Buffer) {
        if (links.size >= linksMax) return refuseUpgrade(socket, 503, 'this hub has as many sockets as it takes');
        server.handleUpgrade(request, socket, head, opened);
      },
    },
    onLink(call) {
      accept = call;
      for (const link of waiting.splice(0)) call(link);
    },
    async close() {
      for (const link of links) link.close('the listener closed');
      const timer = setTimeout(() => server.clients.forEach((socket) => socket.terminate()), closeMsMax);
      await new Promise((resolve) => server.close(resolve));
      clearTimeout(timer);
    },
  };
}

/** Kept beside the listener for who uses both. */
export { dialNodeSocketLink } from './dial-socket.ts';
