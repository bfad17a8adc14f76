/**
 * A tab's place at the signalling server that its hub names: under one peer id it reaches the hub and other volunteers,
 * and they reach it. The place outlives the link to the hub. Who the far ends are, is left to sessions.
 */

import { openPeerListener, type PeerListener } from '../adapters/net/peer-link.ts';
import type { PeerId } from '../core/ids.ts';
import type { HubAddress } from '../protocol/hub-address.ts';
import type { Identity } from '../protocol/identity.ts';
import { LinkClosedError, type Link } from '../protocol/ports.ts';
import { createSignalToken, signalKey } from '../protocol/signal-token.ts';
import { placeOfHub, type HubPlace } from './dial-peer-hub.ts';
import type { Dialled } from './reconnect.ts';

/** How a volunteer reaches others and is reached; `peer-links.fixture.ts` has the twin in memory. */
export interface PeerTransport {
  /** False where the owner wants no links to other volunteers: they would see this machine's address. */
  readonly allowed: boolean;
  /** Makes this peer reachable, if it is not yet; rejects with one line where it cannot be. */
  open(): Promise<void>;
  /** Set once. */
  onLink(accept: (link: Link) => void): void;
  dial(peer: PeerId): Promise<Link>;
  close(): Promise<void>;
}

export interface PeerDoor extends PeerTransport {
  dialHub(): Promise<Dialled>;
}

export interface PeerDoorParts {
  readonly address: HubAddress;
  readonly identity: Identity;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** False: only the hub is reached, and no offer of anybody is answered. */
  readonly peers: boolean;
}

export function createPeerDoor({ address, identity, now, peers }: PeerDoorParts): PeerDoor {
  let accept: ((link: Link) => void) | undefined;
  let opened: { readonly place: string; readonly listener: Promise<PeerListener> } | undefined;
  let closed = false;

  const listenAt = async (place: HubPlace): Promise<PeerListener> => {
    const listener = await openPeerListener({
      peer: identity.peer,
      token: () => createSignalToken(identity, now()),
      signal: { ...place.signal, key: signalKey },
      iceServers: place.iceServers,
      accepts: peers,
    });
    listener.onLink((link) => {
      if (accept === undefined) link.close('this volunteer takes no links from others');
      else accept(link);
    });
    return listener;
  };

  /** The listener at this place; one that stands elsewhere, as the hub has moved, is closed. */
  const listenerAt = async (place: HubPlace): Promise<PeerListener> => {
    const name = JSON.stringify(place);
    if (opened?.place !== name) {
      const former = opened?.listener;
      const mine = { place: name, listener: listenAt(place) };
      opened = mine;
      mine.listener.catch(() => {
        if (opened === mine) opened = undefined;
      });
      await former?.then((listener) => listener.close()).catch(() => {});
    }
    const listener = await opened?.listener;
    if (closed || listener === undefined) {
      await listener?.close();
      throw new LinkClosedError('this volunteer has stopped');
    }
    return listener;
  };

  const listenerNow = async (): Promise<PeerListener> => opened?.listener ?? listenerAt(await placeOfHub(address));

  return {
    allowed: peers,
    open: async () => void (await listenerNow()),
    onLink: (call) => {
      accept = call;
    },
    dial: async (peer) => {
      if (!peers) throw new LinkClosedError('this volunteer takes no links to others');
      return (await listenerNow()).dial(peer);
    },
    dialHub: async () => {
      const place = await placeOfHub(address);
      const listener = await listenerAt(place);
      try {
        return { link: await listener.dial(place.remote), expect: { peer: place.remote } };
      } catch (error) {
        listener.refresh();
        throw error;
      }
    },
    close: async () => {
      closed = true;
      await opened?.listener.then((listener) => listener.close()).catch(() => {});
    },
  };
}
