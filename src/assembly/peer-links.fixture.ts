/** For tests: peers that reach each other in memory, the twin of a signalling server and `peer-door.ts`. */

import { createMemoryLinks, type MemoryLinkOptions } from '../adapters/net/memory-link.ts';
import type { FramedLink } from '../adapters/net/framed-link.ts';
import type { PeerId } from '../core/ids.ts';
import { LinkClosedError, type Link } from '../protocol/ports.ts';
import type { PeerTransport } from './peer-door.ts';

export interface MemoryPeers {
  transport(peer: PeerId): PeerTransport;
  /** Breaks the links of this peer without a goodbye; nobody reaches it until it opens a transport again. */
  kill(peer: PeerId): void;
  /** Dials so far. */
  readonly dials: number;
}

export interface MemoryPeersOptions extends MemoryLinkOptions {
  /** Runs between a dial and its link. */
  readonly beforeLink?: (from: PeerId, to: PeerId) => Promise<void>;
}

export function createMemoryPeers({ beforeLink, ...options }: MemoryPeersOptions = {}): MemoryPeers {
  const accepting = new Map<PeerId, (link: Link) => void>();
  const ends = new Map<PeerId, Set<FramedLink>>();
  let dials = 0;

  const keep = (peer: PeerId, link: FramedLink): void => {
    const links = ends.get(peer) ?? new Set();
    ends.set(peer, links.add(link));
    link.onClose(() => links.delete(link));
  };
  const forget = (peer: PeerId, reason: string): void => {
    accepting.delete(peer);
    for (const link of ends.get(peer) ?? []) link.close(reason);
  };

  return {
    get dials() {
      return dials;
    },
    transport: (peer) => ({
      allowed: true,
      open: async () => {},
      onLink: (accept) => void accepting.set(peer, accept),
      dial: async (remote) => {
        dials += 1;
        await beforeLink?.(peer, remote);
        const accept = accepting.get(remote);
        if (accept === undefined) throw new LinkClosedError(`peer ${remote}: nobody answers`);
        const [near, far] = createMemoryLinks({ ...options, names: [`peer ${peer}`, `peer ${remote}`] });
        keep(peer, near);
        keep(remote, far);
        accept(far);
        return near;
      },
      close: async () => forget(peer, 'the listener closed'),
    }),
    kill: (peer) => forget(peer, 'killed'),
  };
}
