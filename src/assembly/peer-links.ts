/**
 * Sessions from volunteer to volunteer: dialled when somebody is first spoken to, kept, closed after a long silence, dialled
 * again on demand. Both ends prove their keys as towards the hub. Two volunteers have one link at a time: when both dial at
 * once, the one with the smaller id chooses and says `peer-ready` on the link that stays, and only then the other speaks. What messages
 * mean is left to whoever listens; how the far end is reached, to the transport (`peer-door.ts`).
 */

import type { Clock } from '../core/clock.ts';
import type { PeerId } from '../core/ids.ts';
import { reconnectMsMin } from '../core/limits.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import type { Message } from '../protocol/messages.ts';
import { LinkClosedError, type Link } from '../protocol/ports.ts';
import type { PeerTransport } from './peer-door.ts';
import { openSession, type Session } from './session.ts';

export interface PeerLinksParts {
  readonly identity: Identity;
  readonly transport: PeerTransport;
  readonly verify: Verify;
  readonly clock: Clock;
  /** Links at once, both ways; 24 where it is left out. */
  readonly linksMax?: number;
}

/** What went over the links with one peer, payload and framing; links that are closed by now included. */
export interface PeerCount {
  readonly sent: number;
  readonly received: number;
  /** Whether a relay carries the link that stands now, or carried the last. */
  readonly relayed: boolean;
}

export type PeerMessageHandler = (peer: PeerId, message: Message, tails: readonly Uint8Array[]) => void;

export interface PeerLinks {
  /** False where the owner wants no links to other volunteers: then nobody is reached, and nobody answered. */
  readonly allowed: boolean;
  /** Makes this volunteer reachable; to be called whenever the hub is linked. */
  listen(): void;
  /**
   * Dials where no link stands. Resolves when the message is queued; rejects with `LinkClosedError`, in one line, when the
   * peer cannot be reached within `reachMsMax` or the link closes under the message. In order for each peer and lane.
   */
  send(peer: PeerId, message: Message, tails?: readonly Uint8Array[]): Promise<void>;
  /** Every handler gets every message; it leaves alone what is not its own. Returns how to stop. */
  onMessage(handler: PeerMessageHandler): () => void;
  /** A link that stood is gone. Not told of a link that closed because nobody used it, unless it was held here. */
  onLost(handler: (peer: PeerId, reason: string) => void): () => void;
  /** Keeps the link to this peer from being closed when it is idle, once it stands; returns how to let go. */
  hold(peer: PeerId): () => void;
  /** Closes the link and takes none from this peer again. */
  ban(peer: PeerId, reason: string): void;
  /** The link that stands, if one does. */
  linked(peer: PeerId): { readonly relayed: boolean } | undefined;
  /** Of the link that stands. */
  roundTripMs(peer: PeerId): number | undefined;
  counted(): ReadonlyMap<PeerId, PeerCount>;
  close(reason: string): Promise<void>;
}

/** A peer that is alive is linked within a second; a lost one is told by the signalling server after five. */
export const reachMsMax = 12_000;
/** A link that carried no message for so long is closed: each costs both ends a ping a second. */
export const idleMsMax = 120_000;
/** A full house gives up links that are idle for this long before it refuses a new one. */
const spareMs = 5_000;
const sweepMs = 5_000;
/** Peers without a link that are remembered, with what passed: any stranger may make up new ids. */
const rememberedMax = 256;
const idleReason = 'nobody used this link';

/** One far end: its link, who waits for one, what passed. */
interface Far {
  readonly peer: PeerId;
  session: Session | undefined;
  dialling: boolean;
  readonly waiting: Set<{ readonly resolve: (session: Session) => void; readonly reject: (error: Error) => void }>;
  used: number;
  holds: number;
  banned: string | undefined;
  sent: number;
  received: number;
  relayed: boolean;
  failure: string | undefined;
}

export function createPeerLinks(parts: PeerLinksParts): PeerLinks {
  const { identity, transport, verify, clock, linksMax = 24 } = parts;
  const fars = new Map<PeerId, Far>();
  const messageHandlers = new Set<PeerMessageHandler>();
  const lostHandlers = new Set<(peer: PeerId, reason: string) => void>();
  let closed: string | undefined;

  const farOf = (peer: PeerId): Far => {
    const known = fars.get(peer);
    if (known !== undefined) return known;
    const far: Far = {
      ...{ peer, session: undefined, dialling: false, waiting: new Set<never>(), used: clock.now(), holds: 0 },
      ...{ banned: undefined, sent: 0, received: 0, relayed: false, failure: undefined },
    };
    fars.set(peer, far);
    return far;
  };
  const isChooser = (peer: PeerId): boolean => identity.peer < peer;

  const use = (far: Far, session: Session): void => {
    far.session?.close('linked anew');
    far.session = session;
    far.used = clock.now();
    far.relayed = session.link.relayed === true;
    far.failure = undefined;
    for (const { resolve } of far.waiting) resolve(session);
    far.waiting.clear();
  };

  const leave = (far: Far, session: Session, reason: string): void => {
    far.sent += session.link.counted.sent;
    far.received += session.link.counted.received;
    if (far.session !== session) return;
    far.session = undefined;
    if (reason.endsWith(idleReason) && far.holds === 0) return;
    for (const handler of lostHandlers) handler(far.peer, reason);
  };

  /** A proved session is the chooser's to take; the other end waits for the first word on it, which says that it was taken. */
  const offer = (session: Session): void => {
    const far = farOf(session.peer);
    const refusal = closed ?? far.banned ?? (makeRoom(far) ? undefined : 'this volunteer has too many links');
    if (refusal !== undefined) return session.close(refusal);
    session.onClose((reason) => leave(far, session, reason));
    if (isChooser(far.peer)) {
      if (far.session !== undefined) return session.close('linked already');
      use(far, session);
      session.send({ type: 'peer-ready' }).catch(() => {});
    }
    session.onMessage((message, tails) => {
      if (far.session !== session) {
        if (isChooser(far.peer)) return;
        use(far, session);
      }
      far.used = clock.now();
      if (message.type === 'peer-ready') return;
      for (const handler of messageHandlers) handler(far.peer, message, tails);
    });
  };

  /** False where every link is in use; else the longest idle one goes, if the house is full. */
  const makeRoom = (far: Far): boolean => {
    if (far.session !== undefined) return true;
    const open = [...fars.values()].filter(({ session }) => session !== undefined);
    if (open.length < linksMax) return true;
    const [oldest] = open.filter(({ holds }) => holds === 0).toSorted((a, b) => a.used - b.used);
    if (oldest === undefined || clock.now() - oldest.used < spareMs) return false;
    oldest.session?.close(idleReason);
    return true;
  };

  const greet = (link: Link, expected?: PeerId): Promise<Session> =>
    openSession(link, {
      identity,
      role: 'volunteer',
      verify,
      clock,
      expect: { roles: ['volunteer'], ...(expected === undefined ? {} : { peer: expected }) },
    });

  /** Dials until a link is in use, or nobody waits for one any more. */
  const keepDialling = async (far: Far): Promise<void> => {
    if (far.dialling) return;
    far.dialling = true;
    for (let failures = 0; far.waiting.size > 0 && far.session === undefined && closed === undefined; failures++) {
      try {
        const session = await greet(await transport.dial(far.peer), far.peer);
        offer(session);
        // Its end, or the word that it is the one, whichever comes first; a link that the other end dialled counts as well.
        await settled(far, session);
      } catch (error) {
        far.failure = error instanceof Error ? error.message : String(error);
      }
      if (far.session === undefined) await pause(Math.min(2_000, reconnectMsMin * 2 ** failures));
    }
    far.dialling = false;
  };
  const pause = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
  const settled = (far: Far, session: Session): Promise<void> =>
    new Promise((resolve) => {
      if (far.session !== undefined) return resolve();
      const cancel = clock.after(reachMsMax, () => session.close('not taken in time'));
      const done = (): void => {
        cancel();
        far.waiting.delete(waiter);
        resolve();
      };
      const waiter = { resolve: done, reject: done };
      far.waiting.add(waiter);
      session.onClose(done);
    });

  const reach = (peer: PeerId): Promise<Session> => {
    const far = farOf(peer);
    const noLinks = transport.allowed ? undefined : 'this volunteer has no links to others';
    const itself = peer === identity.peer ? 'that is this volunteer itself' : undefined;
    const refusal = closed ?? noLinks ?? far.banned ?? itself;
    if (refusal !== undefined) return Promise.reject(new LinkClosedError(`peer ${peer}: ${refusal}`));
    if (far.session !== undefined) return Promise.resolve(far.session);
    if (!makeRoom(far)) return Promise.reject(new LinkClosedError(`peer ${peer}: too many links are open`));
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        cancel();
        far.waiting.delete(waiter);
        act();
      };
      const waiter = {
        resolve: (session: Session) => settle(() => resolve(session)),
        reject: (error: Error) => settle(() => reject(error)),
      };
      const cancel = clock.after(reachMsMax, () => {
        const why = far.failure === undefined ? '' : ` (${far.failure})`;
        waiter.reject(new LinkClosedError(`peer ${peer}: not reached within ${reachMsMax / 1000} s${why}`));
      });
      far.waiting.add(waiter);
      void keepDialling(far);
    });
  };

  const end = (far: Far, reason: string): void => {
    const error = new LinkClosedError(`peer ${far.peer}: ${reason}`);
    for (const { reject } of [...far.waiting]) reject(error);
    far.session?.close(reason);
  };

  transport.onLink((link) => {
    greet(link).then(offer, () => {
      // Whoever it was did not prove anything; the link is closed.
    });
  });
  let cancelSweep = (): void => {};
  const sweep = (): void => {
    cancelSweep = clock.after(sweepMs, sweep);
    const before = clock.now() - idleMsMax;
    for (const far of fars.values()) if (far.holds === 0 && far.used < before) far.session?.close(idleReason);
    const idle = [...fars.values()].filter((far) => far.session === undefined && far.waiting.size + far.holds === 0);
    for (const { peer } of idle.toSorted((a, b) => b.used - a.used).slice(rememberedMax)) fars.delete(peer);
  };
  sweep();

  const listenTo = <Handler>(handlers: Set<Handler>, handler: Handler): (() => void) => {
    handlers.add(handler);
    return () => void handlers.delete(handler);
  };

  return {
    allowed: transport.allowed,
    listen: () => {
      // Where it fails now, the next link to the hub or the next dial tries again.
      if (transport.allowed) transport.open().catch(() => {});
    },
    send: async (peer, message, tails = []) => {
      const session = await reach(peer);
      farOf(peer).used = clock.now();
      await session.send(message, tails);
    },
    onMessage: (handler) => listenTo(messageHandlers, handler),
    onLost: (handler) => listenTo(lostHandlers, handler),
    hold: (peer) => {
      const far = farOf(peer);
      far.holds += 1;
      let held = true;
      return () => {
        if (held) far.holds -= 1;
        held = false;
      };
    },
    ban: (peer, reason) => {
      const far = farOf(peer);
      far.banned = reason;
      end(far, reason);
    },
    roundTripMs: (peer) => fars.get(peer)?.session?.roundTripMs(),
    linked: (peer) => {
      const far = fars.get(peer);
      return far?.session === undefined ? undefined : { relayed: far.relayed };
    },
    counted: () => {
      const passed = [...fars.values()].map(({ peer, session, sent, received, relayed }) => {
        const now = session?.link.counted ?? { sent: 0, received: 0 };
        return [peer, { sent: sent + now.sent, received: received + now.received, relayed }] as const;
      });
      return new Map(passed.filter(([, { sent, received }]) => sent + received > 0));
    },
    close: async (reason) => {
      closed = reason;
      cancelSweep();
      for (const far of fars.values()) end(far, reason);
      await transport.close();
    },
  };
}
