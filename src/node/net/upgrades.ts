/** One router for every WebSocket of one HTTP server: signalling, submitters and whatever else share its port. */

import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';

export interface UpgradeRoute {
  /** The path that this route takes, exactly, e.g. `/socket`. */
  readonly path: string;
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Sends each upgrade to the route of its path; all others get 404. Returns what takes the router away again. */
export function attachUpgrades(server: HttpServer | HttpsServer, routes: readonly UpgradeRoute[]): () => void {
  const byPath = new Map(routes.map((route) => [route.path, route]));
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // A stranger may hang up at any moment; that is no error of the server.
    socket.on('error', () => socket.destroy());
    const path = pathOf(request);
    const route = byPath.get(path ?? '');
    if (route === undefined)
      refuseUpgrade(socket, 404, `no socket at this path; there are ${[...byPath.keys()].join(' and ')}`);
    else route.handle(request, socket, head);
  };
  server.on('upgrade', upgrade);
  return () => void server.off('upgrade', upgrade);
}

function pathOf(request: IncomingMessage): string | undefined {
  try {
    return new URL(request.url ?? '', 'http://localhost').pathname;
  } catch {
    return undefined;
  }
}

const reasons: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  503: 'Service Unavailable',
};

/** Answers an upgrade with a status and one line instead of a socket. */
export function refuseUpgrade(socket: Duplex, status: 400 | 401 | 404 | 503, line: string): void {
  const body = `${line}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${reasons[status] ?? ''}\r\ncontent-type: text/plain; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
