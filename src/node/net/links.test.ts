/** The acceptance suite from Node to Node: over real sockets, and over PeerJS with our own signalling server. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ed25519 } from '../../adapters/crypto/ed25519.ts';
import { createIdentity } from '../../adapters/crypto/identity.ts';
import { linkCases, type LinkPair } from '../../adapters/net/link-acceptance.ts';
import { createPartner } from '../../adapters/net/link-partner.ts';
import type { FramedLink } from '../../adapters/net/framed-link.ts';
import { openPeerListener, type PeerListener } from '../../adapters/net/peer-link.ts';
import { createSignalToken } from '../../protocol/signal-token.ts';
import type { PeerId } from '../../core/ids.ts';
import type { Listener } from '../../protocol/ports.ts';
import { installRtcGlobals, releaseRtc } from './rtc-globals.ts';
import { signalKey, startSignalling, type RunningSignalling } from './signalling.ts';
import { createSocketListener, dialNodeSocketLink, type SocketListener } from './socket-listener.ts';
import { attachUpgrades } from './upgrades.ts';

/** Pairs of ends from a listener and what dials it, one after another. */
function pairsFrom(listener: Listener, dial: () => Promise<FramedLink>): () => Promise<LinkPair> {
  let accepted: ((link: FramedLink) => void) | undefined;
  listener.onLink((link) => accepted?.(link as FramedLink));
  return async () => {
    const far = new Promise<FramedLink>((resolve) => (accepted = resolve));
    const near = await dial();
    return { near, far: createPartner(await far) };
  };
}

describe('socket links through ws', () => {
  let server: Server;
  let listener: SocketListener;
  let pair: () => Promise<LinkPair>;

  beforeAll(async () => {
    listener = createSocketListener();
    server = createServer();
    attachUpgrades(server, [listener.route]);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    pair = pairsFrom(listener, () => dialNodeSocketLink(`ws://127.0.0.1:${port}/socket`));
  });
  afterAll(async () => {
    await listener.close();
    await new Promise((resolve) => server.close(resolve));
  });

  for (const { name, run } of linkCases) test(name, async () => run(await pair()));

  test('a path without a route is answered with 404 and the paths that there are', async () => {
    const { port } = server.address() as AddressInfo;
    await expect(dialNodeSocketLink(`ws://127.0.0.1:${port}/other`)).rejects.toThrow('no connection');
  });

  test('a loopback socket is known to be one', async () => {
    const accepted = new Promise<string>((resolve) => listener.onLink((link) => resolve(link.addressBlock)));
    const { port } = server.address() as AddressInfo;
    const near = await dialNodeSocketLink(`ws://127.0.0.1:${port}/socket`);
    expect(await accepted).toBe('127.0.0.0/8');
    near.close('seen');
  });
});

describe('peer links in Node', () => {
  let signalling: RunningSignalling;
  const listeners: PeerListener[] = [];
  let pair: () => Promise<LinkPair>;

  beforeAll(async () => {
    await installRtcGlobals();
    signalling = await startSignalling();
    const open = async (seed: number): Promise<{ listener: PeerListener; peer: PeerId }> => {
      const identity = await createIdentity({
        accountKey: await (await ed25519()).fromSeed(new Uint8Array(32).fill(seed)),
      });
      const listener = await openPeerListener({
        peer: identity.peer,
        token: () => createSignalToken(identity, Date.now()),
        signal: { host: '127.0.0.1', port: signalling.port, path: '/signal', key: signalKey, secure: false },
        iceServers: [],
      });
      listeners.push(listener);
      return { listener, peer: identity.peer };
    };
    const hub = await open(1);
    const volunteer = await open(2);
    pair = pairsFrom(hub.listener, () => volunteer.listener.dial(hub.peer));
  });
  afterAll(async () => {
    for (const listener of listeners) await listener.close();
    await signalling.close();
    await releaseRtc();
  });

  for (const { name, run } of linkCases) test(name, async () => run(await pair()));

  test('both ends have the same binding of two DTLS fingerprints, and a new link another', async () => {
    const first = await pair();
    const second = await pair();
    expect(first.near.binding.split('\n')).toHaveLength(2);
    expect(await first.far.binding()).toBe(first.near.binding);
    expect(second.near.binding).not.toBe(first.near.binding);
  });
});
