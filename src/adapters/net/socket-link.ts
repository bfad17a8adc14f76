/**
 * A link over one WebSocket, for submitters in Node and for volunteers where UDP is blocked. Both lanes share the
 * socket, and a browser's socket never says that its queue has drained; so the far end acknowledges what it has received
 * and each lane keeps at most a window of bytes on the way, whatever timers do. Control waits for one window of bulk at most.
 */

import { bufferedBytesLow } from '../../core/limits.ts';
import { LinkClosedError, type Lane } from '../../protocol/ports.ts';
import { addressBlockOf } from './address-block.ts';
import { carriesFrame, receivedFragment } from './fragments.ts';
import { createFramedLink, type FragmentTransport, type FramedLink } from './framed-link.ts';

/** What this link uses of a browser's WebSocket or of `ws`. */
export interface SocketLike {
  binaryType: string;
  readonly readyState: number;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
}

/** Bytes of one lane on the way: 20 MB/s at 50 ms, and control never waits for more than this. */
const windowBytes = bufferedBytesLow;
/** A receiver acknowledges this often, so that a sender with a full window never runs dry. */
const acknowledgeBytes = windowBytes / 4;
const openState = 1;

/** A link on an open socket. */
export function createSocketLink(
  socket: SocketLike,
  far: { remote: string; address?: string | undefined },
): FramedLink {
  socket.binaryType = 'arraybuffer';
  const sent = { control: 0, bulk: 0 };
  const arrived = { control: 0, bulk: 0 };
  const acknowledged = { control: 0, bulk: 0 };

  const transport: FragmentTransport = {
    buffered: (lane) => sent[lane] - arrived[lane],
    send(lane, fragment) {
      if (socket.readyState !== openState) throw new Error('socket is not open');
      if (carriesFrame(fragment)) sent[lane] += fragment.byteLength;
      socket.send(fragment);
    },
    received(lane, bytes) {
      if (bytes - acknowledged[lane] < acknowledgeBytes) return;
      acknowledged[lane] = bytes;
      acknowledge(lane, bytes);
    },
    acknowledged(lane, bytes) {
      // The count wraps at 2^32; what is new since the last one never does.
      const news = (bytes - (arrived[lane] >>> 0)) >>> 0;
      arrived[lane] = Math.min(sent[lane], arrived[lane] + news);
    },
    close: () => socket.close(1000),
  };
  const ends = createFramedLink(transport, {
    remote: far.remote,
    addressBlock: addressBlockOf(far.address),
    binding: '',
    highWater: windowBytes,
  });
  function acknowledge(lane: Lane, bytes: number): void {
    ends.link.sendRaw(lane, receivedFragment(lane, bytes));
  }
  socket.addEventListener('message', (event) => ends.receive(event.data));
  socket.addEventListener('close', () => ends.lost('the socket closed'));
  socket.addEventListener('error', () => ends.lost('the socket failed'));
  return ends.link;
}

/** Dials a hub's socket, `ws://` or `wss://`; rejects with `LinkClosedError` where nobody answers. */
export function dialSocketLink(url: string, createSocket: (url: string) => SocketLike): Promise<FramedLink> {
  return new Promise((resolve, reject) => {
    const refused = (): void => reject(new LinkClosedError(`${url}: no connection`));
    const socket = createSocket(url);
    socket.addEventListener('open', () => {
      resolve(createSocketLink(socket, { remote: `socket ${new URL(url).host}`, address: undefined }));
    });
    socket.addEventListener('error', refused);
    socket.addEventListener('close', refused);
  });
}

/** The same with the platform's own WebSocket. */
export const dialBrowserSocketLink = (url: string): Promise<FramedLink> =>
  dialSocketLink(url, (address) => new WebSocket(address));
