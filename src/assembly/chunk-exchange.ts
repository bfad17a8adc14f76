/**
 * Chunks for programs: from this tab's own store, from other volunteers, from the hub. It asks as `swarm/fetch-plan.ts`
 * says, answers what the other sides ask, and tells the hub what it holds. Every chunk is verified by the store before anyone
 * sees it or gets it from here. A peer that sends a wrong one is cut off, which costs that one chunk; a wrong or missing one
 * of the hub rejects the read that wanted it.
 */

import { present } from '../core/assert.ts';
import { concat, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { Digest, PeerId } from '../core/ids.ts';
import { chunkBytesMax } from '../core/limits.ts';
import { createRandom, type Random } from '../core/prng.ts';
import { chunksOfRange, digestsPerMessageMax, type Artifact } from '../protocol/artifact.ts';
import type { Message } from '../protocol/messages.ts';
import { ChunkQuotaError, LinkClosedError, type Chunks, type ChunkStore } from '../protocol/ports.ts';
import { FetchPlan, type ChunkAsk, type ChunkSource } from '../swarm/fetch-plan.ts';
import { createChunkServer } from './chunk-server.ts';
import type { PeerLinks } from './peer-links.ts';

export class ChunkMissingError extends Error {
  override readonly name = 'ChunkMissingError';
}

/** What the exchange needs of a session. */
export interface ChunkSession {
  send(message: Message, tails?: readonly Uint8Array[]): Promise<void>;
}

/** Where bytes came from since the exchange was opened, and where they went. */
export interface ChunkCounts {
  readonly cached: number;
  readonly hub: number;
  readonly peers: number;
  /** Volunteers that gave some. */
  readonly givers: number;
  readonly passedOn: number;
  /** Bytes that came and were of no use: corrupt, or here already. */
  readonly wasted: number;
}

export interface ChunkExchange extends Chunks {
  chunk(digest: Digest): Promise<Bytes>;
  /** The same chunks without peers: for what changes with every round of a training. */
  readonly fromHub: Chunks;
  /** True where the hub's message was about chunks and is dealt with. */
  receive(message: Message, tails: readonly Uint8Array[]): boolean;
  /** The session to ask from now on; requests that are open are asked again. */
  attach(session: ChunkSession): void;
  detach(): void;
  /** Gives up: every open request rejects. */
  close(reason: string): void;
  /** Payload bytes that had to be fetched; 0 where everything was cached. */
  readonly fetched: () => number;
  readonly counts: () => ChunkCounts;
}

/** What an exchange with other volunteers has more than one with the hub alone. */
export interface ChunkPeers {
  readonly links: PeerLinks;
  readonly clock: Clock;
  readonly random: Random;
  /** What the owner gives to others; no cap where it is left out. */
  readonly uploadBytesPerSecond?: number;
  /** One line about what went wrong, for the owner. */
  readonly say?: (line: string) => void;
  /** `counts` has changed. */
  readonly changed?: () => void;
}

interface Wanted {
  readonly promise: Promise<Bytes>;
  readonly arrived: (bytes: Bytes) => void;
  readonly failed: (error: Error) => void;
}

/** An artifact below this size is not worth a link to somebody else. */
const sharedBytesMin = 256 * 1024;
/** How often waiting and seeking are looked at, while something is wanted. */
const lookMs = 100;
/** Announcements are gathered for so long. */
const gatherMs = 30;

export function createChunkExchange(store: ChunkStore, peers?: ChunkPeers): ChunkExchange {
  const plan = new FetchPlan(peers?.random ?? createRandom(1));
  const wanted = new Map<Digest, Wanted>();
  /** Checked chunks of shared artifacts that lie in the store: what others may have. */
  const held = new Set<Digest>();
  const shared = new Set<Digest>();
  const news = { held: new Set<Digest>(), gone: new Set<Digest>() };
  const counts = { cached: 0, hub: 0, peers: 0, passedOn: 0, wasted: 0 };
  const counted = new Set<Digest>();
  const givers = new Set<PeerId>();
  let session: ChunkSession | undefined;
  let closed = false;
  let saidFull = false;
  const now = (): number => peers?.clock.now() ?? 0;

  // Asking

  const ask = ({ digest, from }: ChunkAsk): void => {
    const message = { type: 'chunk-get', digest } as const;
    if (from === 'hub') {
      // A link that closes under the request re-asks after `attach`.
      void session?.send(message).catch(() => {});
      return;
    }
    peers?.links.send(from, message).catch(() => {
      plan.shun(from);
      pump();
    });
  };

  const pump = (): void => {
    if (closed) return;
    for (const one of plan.asks(now(), session !== undefined)) ask(one);
    const sought = session === undefined || peers === undefined ? undefined : plan.seek(now());
    if (sought !== undefined) void session?.send({ type: 'chunks-sought', ...sought }).catch(() => {});
    lookAgain();
  };

  let looking = false;
  const lookAgain = (): void => {
    if (looking || closed || peers === undefined || !plan.isWaiting) return;
    looking = true;
    peers.clock.after(lookMs, () => {
      looking = false;
      pump();
    });
  };

  let pumping = false;
  /** Once for all that one turn brings: of many chunks wanted at once the rarest come first. */
  const pumpSoon = (): void => {
    if (pumping) return;
    pumping = true;
    queueMicrotask(() => {
      pumping = false;
      pump();
    });
  };

  const settle = (digest: Digest, act: (wanted: Wanted) => void): void => {
    const waiting = wanted.get(digest);
    wanted.delete(digest);
    plan.forget(digest);
    if (waiting !== undefined) act(waiting);
    pump();
  };

  const fetchChunk = (digest: Digest, isShared: boolean): Promise<Bytes> => {
    plan.want(digest, isShared);
    const already = wanted.get(digest);
    if (already !== undefined) return already.promise;
    const { promise, resolve, reject } = createPending<Bytes>();
    wanted.set(digest, { promise, arrived: resolve, failed: reject });
    pumpSoon();
    return promise;
  };

  const chunkOf = async (digest: Digest, isShared: boolean): Promise<Bytes> => {
    const shares = isShared && peers !== undefined && peers.links.allowed;
    if (shares) shared.add(digest);
    const bytes = await store.get(digest);
    if (bytes === undefined) return fetchChunk(digest, shares);
    if (!counted.has(digest)) {
      counted.add(digest);
      counts.cached += bytes.byteLength;
      peers?.changed?.();
    }
    if (shares) hold(digest);
    return bytes;
  };

  // What comes

  const arrive = async (digest: Digest, bytes: Uint8Array, from: ChunkSource): Promise<void> => {
    const wasAsked = plan.answered(digest, from, now());
    if (!wasAsked && from !== 'hub') return cutOff(from, 'it sent a chunk that nobody asked for');
    if (!wanted.has(digest)) {
      counts.wasted += bytes.byteLength;
      return;
    }
    const kept = new Uint8Array(bytes);
    try {
      await store.put(digest, kept);
      if (shared.has(digest)) hold(digest);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      if (!(failure instanceof ChunkQuotaError)) return reject(digest, kept, from, failure);
      // The bytes are right, and a full disk is no reason to stop: they are used now and fetched again another time.
      if (!saidFull) peers?.say?.(`Weights cannot be kept: ${failure.message}`);
      saidFull = true;
    }
    if (!wanted.has(digest)) {
      counts.wasted += kept.byteLength;
      return;
    }
    counted.add(digest);
    if (from === 'hub') counts.hub += kept.byteLength;
    else {
      counts.peers += kept.byteLength;
      givers.add(from);
    }
    plan.took(digest, from);
    peers?.changed?.();
    settle(digest, (waiting) => waiting.arrived(kept));
  };

  /** Bytes that are not what they should be, or that the store could not take. */
  const reject = (digest: Digest, bytes: Bytes, from: ChunkSource, failure: Error): void => {
    counts.wasted += bytes.byteLength;
    if (from === 'hub') return settle(digest, (waiting) => waiting.failed(failure));
    plan.refused(digest, from);
    if (failure.name === 'ChunkCorruptError') return cutOff(from, 'it sent a corrupt chunk');
    settle(digest, (waiting) => waiting.failed(failure));
  };

  const cutOff = (peer: PeerId, reason: string): void => {
    peers?.say?.(`Volunteer ${peer.slice(0, 8)} was dropped: ${reason}.`);
    plan.shun(peer);
    peers?.links.ban(peer, reason);
    pump();
  };

  // What others get

  const answerHub = async (digest: Digest): Promise<void> => {
    const bytes = await store.get(digest);
    const to = session;
    if (to === undefined) return;
    await (bytes === undefined
      ? to.send({ type: 'chunk-missing', digest })
      : to.send({ type: 'chunk', digest }, [bytes]));
  };

  const hold = (digest: Digest): void => {
    if (held.has(digest)) return;
    held.add(digest);
    tell('held', digest);
  };

  const tell = (what: 'held' | 'gone', digest: Digest): void => {
    if (news.held.size + news.gone.size === 0) peers?.clock.after(gatherMs, announce);
    news[what].add(digest);
  };

  const announce = (): void => {
    const take = (set: Set<Digest>): Digest[] => {
      const some = [...set].slice(0, digestsPerMessageMax);
      for (const digest of some) set.delete(digest);
      return some;
    };
    while (news.held.size + news.gone.size > 0) {
      const message = { type: 'chunks-held', digests: take(news.held), gone: take(news.gone) } as const;
      // Without a hub nobody hears it; the next one is told everything that is held.
      void session?.send(message).catch(() => {});
    }
  };

  const server =
    peers === undefined
      ? undefined
      : createChunkServer({
          store,
          links: peers.links,
          clock: peers.clock,
          uploadBytesPerSecond: peers.uploadBytesPerSecond ?? Infinity,
          isHeld: (digest) => held.has(digest),
          gone: (digest) => {
            if (held.delete(digest)) tell('gone', digest);
          },
          passedOn: (bytes) => {
            counts.passedOn += bytes;
            peers.changed?.();
          },
        });

  const stopListening = peers?.links.onMessage((peer, message, tails) => {
    if (message.type === 'chunk-get') server?.serve(peer, message.digest);
    else if (message.type === 'chunk') void arrive(message.digest, tails[0] ?? new Uint8Array(0), peer);
    else if (message.type === 'chunk-missing') {
      plan.missing(message.digest, peer);
      pump();
    }
  });
  const stopWatching = peers?.links.onLost((peer) => {
    plan.lost(peer);
    pump();
  });

  const readerOf = (isShared: (artifact: Artifact) => boolean): Chunks => {
    const readRange = async (artifact: Artifact, start: number, end: number): Promise<Bytes> => {
      if (start >= end) return new Uint8Array(0);
      const { first, last } = chunksOfRange(start, end);
      const digests = artifact.chunks.slice(first, last + 1);
      const parts = await Promise.all(digests.map((digest) => chunkOf(digest, isShared(artifact))));
      const joined = parts.length === 1 ? present(parts[0], 'one part') : concat(...parts);
      return joined.slice(start - first * chunkBytesMax, end - first * chunkBytesMax);
    };
    return { read: (artifact) => readRange(artifact, 0, artifact.bytes), readRange };
  };

  return {
    chunk: (digest) => chunkOf(digest, false),
    ...readerOf(({ bytes }) => bytes >= sharedBytesMin),
    fromHub: readerOf(() => false),
    receive: (message, tails) => {
      switch (message.type) {
        case 'chunk-get':
          // A link that closes meanwhile needs no answer.
          answerHub(message.digest).catch(() => {});
          return true;
        case 'chunk':
          void arrive(message.digest, tails[0] ?? new Uint8Array(0), 'hub');
          return true;
        case 'chunk-missing':
          plan.answered(message.digest, 'hub', now());
          settle(message.digest, (waiting) =>
            waiting.failed(new ChunkMissingError(`chunk ${message.digest.slice(0, 12)}: the hub does not have it`)),
          );
          return true;
        case 'chunk-sources':
          plan.told(message);
          pump();
          return true;
        default:
          return false;
      }
    },
    attach: (next) => {
      session = next;
      plan.lost('hub');
      for (const digest of held) news.held.add(digest);
      announce();
      pump();
    },
    detach: () => {
      session = undefined;
      plan.lost('hub');
    },
    close: (reason) => {
      closed = true;
      session = undefined;
      stopListening?.();
      stopWatching?.();
      for (const [, waiting] of wanted) waiting.failed(new LinkClosedError(reason));
      wanted.clear();
    },
    fetched: () => counts.hub + counts.peers,
    counts: () => ({ ...counts, givers: givers.size }),
  };
}

function createPending<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
