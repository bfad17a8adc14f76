/**
 * Passes chunks on to other volunteers: only those that this one has announced, a few at a time, no faster than its owner
 * allows, and never through a relay, whose bytes somebody else pays for. The store checks every chunk before it gives it out.
 */

import type { Clock } from '../core/clock.ts';
import type { Digest, PeerId } from '../core/ids.ts';
import type { ChunkStore } from '../protocol/ports.ts';
import type { PeerLinks } from './peer-links.ts';
import { createRateLimit } from './rate-limit.ts';

export interface ChunkServerParts {
  readonly store: ChunkStore;
  readonly links: PeerLinks;
  readonly clock: Clock;
  /** What the owner gives to others; Infinity where there is no cap. */
  readonly uploadBytesPerSecond: number;
  /** Whether this chunk was announced, so may be asked for. */
  readonly isHeld: (digest: Digest) => boolean;
  /** It was announced, and has gone since. */
  readonly gone: (digest: Digest) => void;
  readonly passedOn: (bytes: number) => void;
}

/** Chunks read and sent at once: each is a MiB of memory until its link has taken it. */
const servedAtOnceMax = 4;
/** Requests of one peer that wait; ours have two under way. */
const waitingPerPeerMax = 8;

export function createChunkServer(parts: ChunkServerParts): { serve(peer: PeerId, digest: Digest): void } {
  const { store, links } = parts;
  const limit = createRateLimit(parts.clock, parts.uploadBytesPerSecond);
  const waiting: { readonly peer: PeerId; readonly digest: Digest }[] = [];
  let serving = 0;

  const refuse = (peer: PeerId, digest: Digest): void => void say(peer, digest).catch(() => {});
  const say = (peer: PeerId, digest: Digest): Promise<void> => links.send(peer, { type: 'chunk-missing', digest });

  const answer = async (peer: PeerId, digest: Digest): Promise<number> => {
    if (links.linked(peer) === undefined) return 0;
    const bytes = await store.get(digest);
    if (bytes === undefined) {
      parts.gone(digest);
      await say(peer, digest);
      return 0;
    }
    await links.send(peer, { type: 'chunk', digest }, [bytes]);
    parts.passedOn(bytes.byteLength);
    return bytes.byteLength;
  };

  const next = (): void => {
    for (let first = waiting.shift(); first !== undefined; first = waiting.shift()) {
      const { peer, digest } = first;
      serving += 1;
      limit
        .run(() => answer(peer, digest))
        // A link that closes meanwhile needs no answer.
        .catch(() => {})
        .then(() => {
          serving -= 1;
          next();
        });
      if (serving >= servedAtOnceMax) return;
    }
  };

  return {
    serve: (peer, digest) => {
      const asked = waiting.filter((other) => other.peer === peer).length;
      const isRelayed = links.linked(peer)?.relayed === true;
      if (!parts.isHeld(digest) || isRelayed || asked >= waitingPerPeerMax) return refuse(peer, digest);
      waiting.push({ peer, digest });
      if (serving < servedAtOnceMax) next();
    },
  };
}
