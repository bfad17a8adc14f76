/**
 * Two links joined in memory: the twin of `peer-link` and `socket-link` for tests and for a hub and its volunteer in
 * one tab. Fragments cross in turns, so that queues fill, wait and drain as on a real transport.
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Lane, Link, Listener } from '../../protocol/ports.ts';
import { createFramedLink, type FragmentTransport, type FramedLink, type LinkEnds } from './framed-link.ts';
import { lanes } from './fragments.ts';
import { loopbackBlock } from './address-block.ts';

export interface MemoryLinkOptions {
  /** Fragments of each lane that cross in one turn. */
  readonly fragmentsPerTurn?: number;
  /** Calls back in the next turn; a new task where none is given. */
  readonly turn?: (call: () => void) => void;
  readonly binding?: string;
  /** As if a relay carried every byte. */
  readonly relayed?: boolean;
  readonly names?: readonly [string, string];
}

/** Both ends of a new link; what is sent into one comes out of the other. */
export function createMemoryLinks(options: MemoryLinkOptions = {}): [FramedLink, FramedLink] {
  const [nearName, farName] = options.names ?? ['memory near', 'memory far'];
  const near = createEnd(farName, options);
  const far = createEnd(nearName, options);
  near.connect(far.ends);
  far.connect(near.ends);
  return [near.ends.link, far.ends.link];
}

function createEnd(remote: string, options: MemoryLinkOptions): { ends: LinkEnds; connect(other: LinkEnds): void } {
  const { fragmentsPerTurn = 16, turn = (call) => void setTimeout(call, 0) } = options;
  const queues: Record<Lane, Bytes[]> = { control: [], bulk: [] };
  const buffered = { control: 0, bulk: 0 };
  let other: LinkEnds | undefined;
  let scheduled = false;
  let closing = false;

  function deliver(): void {
    scheduled = false;
    for (const lane of lanes) {
      for (const fragment of queues[lane].splice(0, fragmentsPerTurn)) {
        buffered[lane] -= fragment.byteLength;
        other?.receive(fragment.buffer, lane);
      }
    }
    ends.drained();
    if (queues.control.length + queues.bulk.length > 0) schedule();
    else if (closing) other?.lost('the other side is gone');
  }

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    turn(deliver);
  }

  const transport: FragmentTransport = {
    buffered: (lane) => buffered[lane],
    send(lane, fragment) {
      if (closing) throw new Error('closed');
      // The far end gets bytes of its own, as from a network, and never more than a channel would take.
      queues[lane].push(fragment);
      buffered[lane] += fragment.byteLength;
      schedule();
    },
    close() {
      closing = true;
      queues.bulk.length = 0;
      buffered.bulk = 0;
      schedule();
    },
  };
  const ends = createFramedLink(transport, {
    remote,
    addressBlock: loopbackBlock,
    binding: options.binding ?? '',
    relayed: options.relayed ?? false,
  });
  return { ends, connect: (far) => (other = far) };
}

/** A listener in this process, and what dials it. */
export function createMemoryListener(options: MemoryLinkOptions = {}): Listener & { dial(): FramedLink } {
  let accept: ((link: Link) => void) | undefined;
  const waiting: Link[] = [];
  const open = new Set<Link>();
  return {
    onLink(call) {
      accept = call;
      for (const link of waiting.splice(0)) call(link);
    },
    dial() {
      const [near, far] = createMemoryLinks(options);
      open.add(far);
      far.onClose(() => open.delete(far));
      if (accept === undefined) waiting.push(far);
      else accept(far);
      return near;
    },
    close() {
      for (const link of open) link.close('the listener closed');
      return Promise.resolve();
    },
  };
}
