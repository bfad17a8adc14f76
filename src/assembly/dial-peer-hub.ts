/** Reaches a hub over WebRTC: through the signalling server that its address or its bootstrap document names. */

import { expectInput } from '../core/result.ts';
import { dialPeer } from '../adapters/net/peer-link.ts';
import type { PeerId } from '../core/ids.ts';
import { parseSignalUrl, type HubAddress, type SignalPlace } from '../protocol/hub-address.ts';
import type { Identity } from '../protocol/identity.ts';
import { createSignalToken, signalKey } from '../protocol/signal-token.ts';
import { fetchBootstrap } from './hub-bootstrap.ts';
import type { Dialled } from './reconnect.ts';

export async function dialPeerHub(address: HubAddress, identity: Identity, now: () => number): Promise<Dialled> {
  const place = await placeOfHub(address);
  const link = await dialPeer({
    peer: identity.peer,
    token: () => createSignalToken(identity, now()),
    signal: { ...place.signal, key: signalKey },
    iceServers: place.iceServers,
    remote: place.remote,
  });
  return { link, expect: { peer: place.remote } };
}

/** Where a hub is reached: its peer id, and the signalling server through which. */
export interface HubPlace {
  readonly remote: PeerId;
  readonly signal: SignalPlace;
  readonly iceServers: readonly RTCIceServer[];
}

export async function placeOfHub(address: HubAddress): Promise<HubPlace> {
  if (address.kind === 'peer') return { remote: address.peer, signal: address.signal, iceServers: [] };
  const { peer, signal, iceServers } = await fetchBootstrap(address);
  return {
    remote: peer,
    signal: expectInput(parseSignalUrl(signal.url)),
    iceServers: iceServers.map(({ urls, username, credential }) => ({
      urls,
      ...(username === undefined ? {} : { username }),
      ...(credential === undefined ? {} : { credential }),
    })),
  };
}
