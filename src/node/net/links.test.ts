/** The acceptance suite from Node to Node: over real sockets, and over PeerJS with our own signalling server. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ed25519 } from '../../adapters/crypto/ed25519.ts';
import { createIdentity } from '../../adapters/crypto/identity.ts';
import { linkCases, type LinkPair } from '../../adapters/net/link-acceptance.ts';
import { createPartner } from '../../adapters/net/link-partner.ts';
import type { FramedLink } from '../../adapters/net/framed-link.ts';
import { dialPeer, openPeerListener, type PeerListener, type PeerOptions } from '../../adapters/net/peer-link.ts';
import { createSignalToken, signalKey } from '../../protocol/signal-token.ts';
import type { PeerId } from '../../core/ids.ts';
import type { Link, Listener } from '../../protocol/ports.ts';
import { installRtcGlobals, releaseRtc } from './rtc-globals.ts';
import { startSignalling, type RunningSignalling } from './signalling.ts';
import { dialNodeSocketLink } from './dial-socket.ts';
import { createSocketListener, type SocketListener } from './socket-listener.ts';
import { attachUpgrades } from './upgrades.ts';

/** Pairs of ends from a listener and what dials it, one after another. */
function pairsFrom(listener: Listener, dial: () => Promise<FramedLink>): () => Promise<LinkPair> {
  return async () => {
    const far = new Promise<FramedLink>((resolve) => listener.onLink((link) => resolve(link as FramedLink)));
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
  let hub: { listener: PeerListener; peer: PeerId };
  let volunteer: { listener: PeerListener; peer: PeerId };
  let pair: () => Promise<LinkPair>;

  async function newOptions(): Promise<PeerOptions> {
    const identity = await createIdentity({ accountKey: await (await ed25519()).generate() });
    return {
      peer: identity.peer,
      token: () => createSignalToken(identity, Date.now()),
      signal: { host: '127.0.0.1', port: signalling.port, path: '/signal', key: signalKey, secure: false },
      iceServers: [],
    };
  }
  async function open(): Promise<{ listener: PeerListener; peer: PeerId }> {
    const options = await newOptions();
    return { listener: await openPeerListener(options), peer: options.peer };
  }

  beforeAll(async () => {
    await installRtcGlobals();
    signalling = await startSignalling();
    [hub, volunteer] = [await open(), await open()];
    pair = pairsFrom(hub.listener, () => volunteer.listener.dial(hub.peer));
  });
  afterAll(async () => {
    await hub.listener.close();
    await volunteer.listener.close();
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
    expect(first.near.addressBlock).toBe('127.0.0.0/8');
  });

  test('a link dialled alone works and leaves the signalling server when it closes', async () => {
    const accepted = new Promise<Link>((resolve) => hub.listener.onLink(resolve));
    const near = await dialPeer({ ...(await newOptions()), remote: hub.peer });
    const far = await accepted;
    await near.send('control', Uint8Array.of(7));
    expect(await new Promise((resolve) => far.onFrame((_lane, frame) => resolve([...frame])))).toEqual([7]);
    near.close('that was all');
    expect(await new Promise((resolve) => far.onClose(resolve))).toBe('closed by the other side: that was all');
  });

  test('a peer that takes no links answers no offer, and dials as ever', async () => {
    const options = await newOptions();
    const closed = await openPeerListener({ ...options, accepts: false });
    let reached = 0;
    closed.onLink(() => reached++);
    const dialled = volunteer.listener.dial(options.peer).then(
      () => 'linked',
      () => 'not linked',
    );
    // Signals are in order: when what it dials itself stands, the offer before has long been seen.
    const accepted = new Promise<Link>((resolve) => hub.listener.onLink(resolve));
    const near = await closed.dial(hub.peer);
    await near.send('control', Uint8Array.of(3));
    const far = await accepted;
    expect(await new Promise((resolve) => far.onFrame((_lane, frame) => resolve([...frame])))).toEqual([3]);
    const second = await pair();
    expect(await Promise.race([dialled, second.near.send('control', Uint8Array.of(4)).then(() => 'nothing')])).toBe(
      'nothing',
    );
    expect(reached).toBe(0);
    await closed.close();
  });

  test('dialling a peer that is not there says so', async () => {
    const absent = (await newOptions()).peer;
    await expect(volunteer.listener.dial(absent)).rejects.toThrow(
      `peer ${absent}: nobody answers at the signalling server`,
    );
  });

  test('a signalling server that refuses, or is not there, is named in one line', async () => {
    const options = await newOptions();
    const refused = openPeerListener({ ...options, token: async () => 'nothing' });
    await expect(refused).rejects.toThrow(
      `ws://127.0.0.1:${signalling.port}/signal: not reached, or it refused peer ${options.peer}`,
    );
    const elsewhere = openPeerListener({ ...options, signal: { ...options.signal, port: 9 } });
    await expect(elsewhere).rejects.toThrow('ws://127.0.0.1:9/signal: not reached');
  });

  test('a burst of broken offers from an admitted peer neither stops the hub nor its next link', async () => {
    const options = await newOptions();
    const socket = new WebSocket(
      `${signalling.url}/peerjs?key=${signalKey}&id=${options.peer}&token=${await options.token()}`,
    );
    await new Promise((resolve) => socket.once('message', resolve));
    const offer = (sdp: string): string =>
      JSON.stringify({
        type: 'OFFER',
        dst: hub.peer,
        payload: { type: 'data', connectionId: 'dc_same', serialization: 'raw', sdp: { type: 'offer', sdp } },
      });
    for (let index = 0; index < 20; index++) socket.send(offer(index % 2 === 0 ? validOffer : 'v=0'));
    const { near, far } = await pair();
    await near.send('control', Uint8Array.of(1));
    await expect.poll(async () => (await far.arrivals()).length).toBe(1);
    socket.terminate();
  });

  test('signals that break PeerJS’s own handlers do not end the process', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await new Promise((resolve) => server.once('listening', resolve));
    server.on('connection', (socket) => {
      for (const signal of [
        { type: 'OPEN' },
        { type: 'OFFER' },
        { type: 'OFFER', payload: { type: 'data', serialization: 'x' } },
      ]) {
        socket.send(JSON.stringify(signal));
      }
      socket.ping();
    });
    // The pong comes after everything before the ping was taken.
    const taken = new Promise<void>((resolve) =>
      server.on('connection', (socket) => socket.once('pong', () => resolve())),
    );
    const options = await newOptions();
    const { port } = server.address() as AddressInfo;
    const listener = await openPeerListener({ ...options, signal: { ...options.signal, port } });
    await taken;
    await listener.close();
    await new Promise((resolve) => server.close(resolve));
  });

  test('links outlive their signalling server, and when it is back both can be dialled again', async () => {
    const { near, far } = await pair();
    const { port } = signalling;
    await signalling.close();
    await near.send('control', Uint8Array.of(1));
    await expect.poll(async () => (await far.arrivals()).length).toBe(1);
    signalling = await startSignalling({ port });
    const again = async (): Promise<number> => {
      try {
        const later = await pair();
        await later.near.send('control', Uint8Array.of(2));
        return 1;
      } catch {
        return 0;
      }
    };
    await expect.poll(again, { timeout: 20_000, interval: 250 }).toBe(1);
    expect(await far.closed()).toBeUndefined();
  });

  test('a dial while the signalling server is just out of reach waits for it and needs no second try', async () => {
    const own = await open();
    // A hub that was away for a while comes back to it; `pair` says when.
    await expect.poll(() => pair().then(Boolean, () => false), { timeout: 20_000 }).toBe(true);
    const accepted = new Promise<Link>((resolve) => hub.listener.onLink(resolve));
    own.listener.refresh();
    const link = await own.listener.dial(hub.peer);
    expect(link.binding).toBe((await accepted).binding);
    await own.listener.close();
  });
});

/** An offer for a data channel as a browser writes it, with the random parts made plain. */
const validOffer = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:abcdefghijklmnopqrstuvwx',
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
  'a=setup:actpass',
  'a=mid:0',
  'a=sctp-port:5000',
  'a=max-message-size:262144',
  '',
].join('\r\n');
