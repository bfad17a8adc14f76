/** A tab of the suite `network`: it holds its ends by name, and does with them what the command says. */

import { ed25519 } from '../../src/adapters/crypto/ed25519.ts';
import { createIdentity } from '../../src/adapters/crypto/identity.ts';
import type { FramedLink } from '../../src/adapters/net/framed-link.ts';
import { openPeerListener, type PeerListener, type SignalAddress } from '../../src/adapters/net/peer-link.ts';
import type { PeerId } from '../../src/core/ids.ts';
import { createSignalToken } from '../../src/protocol/signal-token.ts';
import { createLinkEnd, createRawPeer, type End, type RawPeer } from './ends.ts';

const ends = new Map<string, End>();
const raws = new Map<string, RawPeer>();
let listener: PeerListener | undefined;

const rawNamed = (name: string): RawPeer => {
  const raw = raws.get(name) ?? createRawPeer();
  raws.set(name, raw);
  return raw;
};
const endNamed = (name: string): End => {
  const end = ends.get(name);
  if (end === undefined) throw new Error(`this tab has no end ${name}`);
  return end;
};

const tab = {
  /** Registers at the signalling server; links that come in get an end that answers. */
  async listen(signal: SignalAddress): Promise<string> {
    const identity = await createIdentity({ accountKey: await (await ed25519()).generate() });
    const token = (): Promise<string> => createSignalToken(identity, Date.now());
    listener = await openPeerListener({ peer: identity.peer, token, signal, iceServers: [] });
    listener.onLink((link) => void ends.set(link.remote, createLinkEnd(link as FramedLink)));
    return identity.peer;
  },
  async dial(name: string, peer: string): Promise<void> {
    if (listener === undefined) throw new Error('this tab is not registered');
    ends.set(name, createLinkEnd(await listener.dial(peer as PeerId)));
  },
  offer: (name: string) => rawNamed(name).offer(),
  answer: (name: string, offer: string) => rawNamed(name).answer(offer),
  accept: (name: string, answer: string) => rawNamed(name).accept(answer),
  async opened(name: string): Promise<void> {
    ends.set(name, await rawNamed(name).end());
  },
  send: (name: string, mebibytes: number) => endNamed(name).send(mebibytes),
  roundTrips: (name: string, count: number) => endNamed(name).roundTrips(count),
};

export type NetworkTab = typeof tab;

Object.assign(globalThis, { networkTab: tab });
