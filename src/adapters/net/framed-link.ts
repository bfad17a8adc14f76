/**
 * What all links share: frames become fragments, each lane has its own queue and waits for its own transport, what
 * arrives is checked, put together and held until somebody listens. A transport only moves fragments; `peer-link`,
 * `socket-link` and `memory-link` each bring one.
 */

import { bufferedBytesHigh, fragmentBytesMax, frameBytesMax } from '../../core/limits.ts';
import { LinkClosedError, type Lane, type Link } from '../../protocol/ports.ts';
import { createAssembler, decodeFragment, fragmentsOfFrame, goodbyeFragment, lanes } from './fragments.ts';
import type { Bytes } from '../../core/bytes.ts';

/** Moves fragments to the far end, in order per lane. */
export interface FragmentTransport {
  /** Bytes of this lane that were sent and have not left yet. */
  buffered(lane: Lane): number;
  send(lane: Lane, fragment: Bytes): void;
  /** True where a fragment's memory may be used again as soon as `send` returns. */
  readonly copies?: boolean;
  /** Bytes of frames that were received on this lane so far; a transport may acknowledge them. */
  received?(lane: Lane, bytes: number): void;
  /** The far end has received so many bytes of this lane's frames, modulo 2^32. */
  acknowledged?(lane: Lane, bytes: number): void;
  /** Goes: at once, or after what is queued has left, as far as the transport can. */
  close(how: 'at once' | 'flush'): void;
}

export interface LinkFacts {
  readonly remote: string;
  readonly addressBlock: string;
  readonly binding: string;
  readonly relayed?: boolean;
  /** A lane waits above this many buffered bytes. */
  readonly highWater?: number;
}

/** A link, and what the acceptance suite looks at beyond the port. */
export interface FramedLink extends Link {
  /** The most bytes that one lane ever had in its transport's queue. */
  readonly bufferedMost: number;
  /** Puts bytes on the transport as they are, to show what the far end does with nonsense. */
  sendRaw(lane: Lane, bytes: Bytes): void;
}

/** The link, and the ends that its transport calls. */
export interface LinkEnds {
  readonly link: FramedLink;
  /** One message from the transport; `lane` where each lane has a channel of its own. */
  receive(data: unknown, lane?: Lane): void;
  /** The transport's queue has become shorter. */
  drained(): void;
  lost(reason: string): void;
}

interface Sending {
  readonly fragments: Iterator<Bytes, void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export function createFramedLink(transport: FragmentTransport, facts: LinkFacts): LinkEnds {
  const highWater = facts.highWater ?? bufferedBytesHigh;
  const queues: Record<Lane, Sending[]> = { control: [], bulk: [] };
  const assemblers = { control: createAssembler(), bulk: createAssembler() };
  const frameBytes = { control: 0, bulk: 0 };
  const counted = { sent: 0, received: 0 };
  const scratch = transport.copies === true ? new Uint8Array(fragmentBytesMax) : undefined;
  const held: { readonly lane: Lane; readonly frame: Uint8Array }[] = [];
  let heldBytes = 0;
  let bufferedMost = 0;
  let receiver: ((lane: Lane, frame: Uint8Array) => void) | undefined;
  let closedBecause: string | undefined;
  const closeListeners: ((reason: string) => void)[] = [];

  /** Everybody who waits learns it once; nothing is sent or delivered afterwards. */
  function end(reason: string): void {
    if (closedBecause !== undefined) return;
    closedBecause = reason;
    held.length = 0;
    for (const lane of lanes) {
      for (const { reject } of queues[lane].splice(0)) reject(new LinkClosedError(`${facts.remote}: ${reason}`));
    }
    for (const listener of closeListeners.splice(0)) listener(reason);
  }

  function close(reason: string): void {
    if (closedBecause !== undefined) return;
    put('control', goodbyeFragment(reason));
    end(reason);
    transport.close('flush');
  }

  function lost(reason: string): void {
    if (closedBecause !== undefined) return;
    end(reason);
    transport.close('at once');
  }

  /** False where the transport is gone. */
  function put(lane: Lane, fragment: Bytes): boolean {
    try {
      transport.send(lane, fragment);
    } catch {
      return false;
    }
    counted.sent += fragment.byteLength;
    bufferedMost = Math.max(bufferedMost, transport.buffered(lane));
    return true;
  }

  function pump(lane: Lane): void {
    const queue = queues[lane];
    for (let first = queue[0]; first !== undefined && closedBecause === undefined; first = queue[0]) {
      if (transport.buffered(lane) >= highWater) return;
      const next = first.fragments.next();
      if (next.done === true) {
        queue.shift();
        first.resolve();
      } else if (!put(lane, next.value)) {
        lost('the connection was lost while sending');
      }
    }
  }

  function deliver(lane: Lane, frame: Uint8Array): void {
    if (receiver !== undefined) return receiver(lane, frame);
    heldBytes += frame.byteLength;
    if (heldBytes > frameBytesMax) return close(`more than ${frameBytesMax} bytes arrived before anybody listened`);
    held.push({ lane, frame });
  }

  function receive(data: unknown, laneOfChannel?: Lane): void {
    if (closedBecause !== undefined) return;
    const decoded = decodeFragment(data);
    if (!decoded.ok) return close(decoded.error.text);
    const fragment = decoded.value;
    const size = data instanceof ArrayBuffer ? data.byteLength : 0;
    counted.received += size;
    if (laneOfChannel !== undefined && fragment.lane !== laneOfChannel) {
      return close(`malformed fragment: ${fragment.lane} on the ${laneOfChannel} channel`);
    }
    if (fragment.kind === 'goodbye') return lost(`closed by the other side: ${fragment.reason}`);
    if (fragment.kind === 'received') {
      transport.acknowledged?.(fragment.lane, fragment.bytes);
      return pump(fragment.lane);
    }
    frameBytes[fragment.lane] += size;
    transport.received?.(fragment.lane, frameBytes[fragment.lane]);
    const assembled = assemblers[fragment.lane].add(fragment.left, fragment.payload);
    if (!assembled.ok) return close(assembled.error.text);
    if (assembled.value !== undefined) deliver(fragment.lane, assembled.value);
  }

  const link: FramedLink = {
    remote: facts.remote,
    addressBlock: facts.addressBlock,
    binding: facts.binding,
    relayed: facts.relayed ?? false,
    counted,
    get bufferedMost() {
      return bufferedMost;
    },
    send(lane, frame) {
      if (closedBecause !== undefined) return Promise.reject(new LinkClosedError(`${facts.remote}: ${closedBecause}`));
      if (frame.byteLength > frameBytesMax) {
        return Promise.reject(new RangeError(`frame of ${frame.byteLength} bytes, the most is ${frameBytesMax}`));
      }
      return new Promise<void>((resolve, reject) => {
        queues[lane].push({ fragments: fragmentsOfFrame(lane, frame, scratch), resolve, reject });
        pump(lane);
      });
    },
    onFrame(receive) {
      receiver = receive;
      heldBytes = 0;
      for (const { lane, frame } of held.splice(0)) receive(lane, frame);
    },
    onClose(closed) {
      if (closedBecause === undefined) closeListeners.push(closed);
      else closed(closedBecause);
    },
    close,
    sendRaw: (lane, bytes) => void put(lane, bytes),
  };
  return { link, receive, drained: () => lanes.forEach(pump), lost };
}
