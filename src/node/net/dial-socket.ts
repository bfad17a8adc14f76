/** Dials a hub's socket from Node. Submitters need `ws` alone, so nothing of WebRTC or of a server is imported here. */

import { WebSocket } from 'ws';
import { fragmentBytesMax } from '../../core/limits.ts';
import type { FramedLink } from '../../adapters/net/framed-link.ts';
import { dialSocketLink, type SocketLike } from '../../adapters/net/socket-link.ts';

/** A link to `ws(s)://host:port/socket`; rejects with `LinkClosedError` where nobody answers. */
export const dialNodeSocketLink = (url: string): Promise<FramedLink> =>
  dialSocketLink(url, (address) =>
    asSocketLike(new WebSocket(address, { maxPayload: fragmentBytesMax, perMessageDeflate: false })),
  );

/** `ws` has the browser's interface; only its types of events differ. */
export function asSocketLike(socket: WebSocket): SocketLike {
  return {
    get binaryType() {
      return socket.binaryType;
    },
    set binaryType(type: string) {
      if (type === 'arraybuffer') socket.binaryType = type;
    },
    get readyState() {
      return socket.readyState;
    },
    send: (data) => socket.send(data),
    close: (code, reason) => socket.close(code, reason),
    addEventListener(type: string, listener: (event: { readonly data: unknown }) => void) {
      if (type === 'message') socket.addEventListener('message', (event) => listener(event));
      else if (type === 'open') socket.addEventListener('open', () => listener({ data: undefined }));
      else if (type === 'close') socket.addEventListener('close', () => listener({ data: undefined }));
      else if (type === 'error') socket.addEventListener('error', () => listener({ data: undefined }));
    },
  };
}
