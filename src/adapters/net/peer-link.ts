/**
 * Links over WebRTC by PeerJS: two data channels to each peer, so that a queue of weights never delays a lease. PeerJS's
 * own channel is `control`; `bulk` is negotiated beside it on the same RTCPeerConnection. PeerJS only signals here: it
 * gets `raw` and our own fragments go to the channels directly, as its own queue is unbounded and polls. In Node,
 * `node/net/rtc-globals` must have run first. Who the far end is, is proved by the session's handshake, not here.
 */

import type { DataConnection, Peer, PeerConnectOption } from 'peerjs';
import { bufferedBytesLow, reconnectMsMax, reconnectMsMin } from '../../core/limits.ts';
import type { PeerId } from '../../core/ids.ts';
import { LinkClosedError, type Lane, type Link, type Listener } from '../../protocol/ports.ts';
import { addressBlockOf, loopbackBlock } from './address-block.ts';
import { lanes } from './fragments.ts';
import { createFramedLink, type FragmentTransport, type FramedLink, type LinkEnds } from './framed-link.ts';

export interface SignalAddress {
  readonly host: string;
  readonly port: number;
  /** Where the signalling server is mounted, e.g. `/signal`. */
  readonly path: string;
  readonly key: string;
  readonly secure: boolean;
}

export interface PeerOptions {
  readonly peer: PeerId;
  /** A fresh token (`protocol/signal-token`), asked for at each connection to the signalling server. */
  readonly token: () => Promise<string>;
  readonly signal: SignalAddress;
  /** Never PeerJS's default, which names third parties; empty for one machine or one network. */
  readonly iceServers: readonly RTCIceServer[];
  /** Only through TURN, so that peers do not learn this machine's address. */
  readonly relayOnly?: boolean;
  /** False: nobody's offer is answered, so that no stranger learns this machine's address; dialling is left. */
  readonly accepts?: boolean;
}

/** This peer at its signalling server: it accepts links and dials others under one id. */
export interface PeerListener extends Listener {
  /** Waits for the signalling server where that has just gone. */
  dial(remote: PeerId): Promise<FramedLink>;
  /** Registers anew, where a dead socket may pass for an open one; links stay. */
  refresh(): void;
}

/** Bulk's stream; PeerJS's channel takes 0 or 1, by DTLS role. */
const bulkChannelId = 10;
/** How often a connection that died early is dialled. */
const attemptsMax = 3;
/** Setting up takes about a second for ten pairs at once on a small machine. */
const openMsMax = 20_000;
/** How long a dial waits for the signalling server to come back. */
const signallingMsMax = 10_000;
/** How long a closed link may still send what it has queued, the reason for closing above all. */
const flushMsMax = 1_000;

/** Registers at the signalling server; rejects with one line where it cannot be reached or refuses the id. */
export const openPeerListener = (options: PeerOptions): Promise<PeerListener> => listen(options, true);

async function listen(options: PeerOptions, stays: boolean): Promise<PeerListener> {
  const peer = await register(options);
  const waiting: Link[] = [];
  const links = new Set<Link>();
  let accept: ((link: Link) => void) | undefined;
  let closed = false;

  const keep = (link: FramedLink): FramedLink => {
    links.add(link);
    link.onClose(() => links.delete(link));
    return link;
  };
  if (options.accepts === false) ignoreOffers(peer);
  peer.on('connection', (connection) => {
    openLink(peer, connection).then(
      (link) => {
        if (closed) return link.close('the listener closed');
        keep(link);
        if (accept === undefined) waiting.push(link);
        else accept(link);
      },
      // A stranger's half-open connection is nobody's error.
      () => {},
    );
  });
  // What fails is told by `disconnected` or by a dial that never opens; without a listener nothing else happens.
  peer.on('error', () => {});
  const signalling = stays ? keepSignalling(peer, options, () => closed) : undefined;

  return {
    onLink(call) {
      accept = call;
      for (const link of waiting.splice(0)) call(link);
    },
    dial: async (remote) => {
      await signalling?.back();
      return keep(await connect(peer, remote));
    },
    refresh: () => {
      if (!closed && !peer.disconnected) peer.disconnect();
    },
    async close() {
      closed = true;
      for (const link of links) link.close('the listener closed');
      if (links.size > 0 || peer.open) await new Promise((resolve) => setTimeout(resolve, 50));
      peer.destroy();
    },
  };
}

/**
 * One link to `remote`; this peer leaves the signalling server when the link closes. A peer id has one holder at a time:
 * who wants several links under one id opens a listener and dials from it.
 */
export async function dialPeer(options: PeerOptions & { readonly remote: PeerId }): Promise<FramedLink> {
  const listener = await listen(options, false);
  try {
    const link = await listener.dial(options.remote);
    link.onClose(() => void setTimeout(() => void listener.close(), flushMsMax));
    return link;
  } catch (error) {
    await listener.close();
    throw error;
  }
}

/** In Node the package is CommonJS and its names hang on the default export. */
async function loadPeer(): Promise<typeof Peer> {
  const loaded = await import('peerjs');
  return 'Peer' in loaded ? loaded.Peer : (loaded as { default: typeof import('peerjs') }).default.Peer;
}

async function register(options: PeerOptions): Promise<Peer> {
  const [PeerClass, token] = await Promise.all([loadPeer(), options.token()]);
  const { host, port, path, key, secure } = options.signal;
  const where = `signalling server ${secure ? 'wss' : 'ws'}://${host}:${port}${path}`;
  const peer = new PeerClass(options.peer, {
    host,
    port,
    path,
    key,
    secure,
    token,
    debug: 0,
    config: {
      iceServers: options.iceServers.map((server) => ({ ...server })),
      iceTransportPolicy: options.relayOnly === true ? 'relay' : 'all',
    },
  });
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      peer.destroy();
      reject(new LinkClosedError(`${where}: not reached, or it refused peer ${options.peer}: ${error.message}`));
    };
    peer.once('error', failed);
    peer.once('open', () => {
      peer.off('error', failed);
      resolve(peer);
    });
  });
}

/** PeerJS answers every offer by itself, and an answer names this machine's addresses. */
function ignoreOffers(peer: Peer): void {
  const { socket } = peer;
  const emit = socket.emit.bind(socket);
  socket.emit = (event: string | symbol, ...values: unknown[]): boolean => {
    const [message] = values;
    const isOffer = typeof message === 'object' && message !== null && Reflect.get(message, 'type') === 'OFFER';
    return isOffer ? true : emit(event, ...values);
  };
}

/**
 * Links outlive their signalling; the socket comes back by itself, with a fresh token, so that others can dial again.
 * `back` resolves when it stands; it does not wait for the next retry.
 */
function keepSignalling(peer: Peer, options: PeerOptions, isClosed: () => boolean): { back(): Promise<void> } {
  let delay = reconnectMsMin;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const reconnect = async (): Promise<void> => {
    clearTimeout(timer);
    const token = await options.token();
    if (isClosed() || peer.destroyed || !peer.disconnected) return;
    Object.assign(peer.options, { token });
    peer.reconnect();
  };
  const retry = (): void => void reconnect().catch(() => peer.emit('disconnected', options.peer));
  peer.on('open', () => (delay = reconnectMsMin));
  peer.on('disconnected', () => {
    if (isClosed()) return;
    clearTimeout(timer);
    timer = setTimeout(retry, delay);
    delay = Math.min(delay * 2, reconnectMsMax);
  });
  return {
    back: () =>
      new Promise((resolve, reject) => {
        if (peer.open) return resolve();
        const settle = (error?: Error): void => {
          clearTimeout(limit);
          peer.off('open', opened);
          peer.off('disconnected', failed);
          if (error === undefined) resolve();
          else reject(error);
        };
        const opened = (): void => settle();
        const failed = (): void => settle(new LinkClosedError('the signalling server cannot be reached now'));
        const limit = setTimeout(failed, signallingMsMax);
        peer.on('open', opened);
        peer.on('disconnected', failed);
        if (peer.disconnected) retry();
      }),
  };
}

/** Dials; a connection that dies while it is set up is tried again, as offers and first packets may race on a fast network. */
async function connect(peer: Peer, remote: PeerId): Promise<FramedLink> {
  const options: PeerConnectOption = { serialization: 'raw', reliable: true, label: 'control' };
  for (let attempt = 1; ; attempt++) {
    if (peer.disconnected) throw new LinkClosedError(`peer ${remote}: not connected to the signalling server now`);
    try {
      return await openLink(peer, peer.connect(remote, options));
    } catch (error) {
      if (!(error instanceof SetupError) || attempt === attemptsMax) throw error;
    }
  }
}

/** The connection died before both of its channels were open. */
class SetupError extends LinkClosedError {}

/** A link on a PeerJS connection, once both of its channels are open. */
async function openLink(peer: Peer, connection: DataConnection): Promise<FramedLink> {
  const pc = connection.peerConnection;
  const bulk = pc.createDataChannel('bulk', { negotiated: true, id: bulkChannelId, ordered: true });
  bulk.binaryType = 'arraybuffer';
  // Either channel may open, and speak, before the other; what it says is kept until there is a link.
  const early: [Lane, unknown][] = [];
  let take = (lane: Lane, data: unknown): void => void early.push([lane, data]);
  connection.on('data', (data) => take('control', data));
  bulk.addEventListener('message', (event: MessageEvent<unknown>) => take('bulk', event.data));

  await bothOpen(peer, connection, bulk);
  const facts = await describe(pc, connection.peer);
  const ends = createPeerTransport(connection, pc, bulk, facts);
  take = (lane, data) => ends.receive(data, lane);
  for (const [lane, data] of early.splice(0)) ends.receive(data, lane);
  if (!connection.open || bulk.readyState !== 'open') ends.lost('the connection closed');
  return ends.link;
}

function bothOpen(peer: Peer, connection: DataConnection, bulk: RTCDataChannel): Promise<void> {
  const pc = connection.peerConnection;
  const name = `peer ${connection.peer}`;
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      peer.off('error', unavailable);
      for (const event of ['open', 'error', 'close'] as const) connection.off(event);
      pc.removeEventListener('connectionstatechange', changed);
      if (error === undefined) return resolve();
      connection.close();
      reject(error);
    };
    const died = (): void => settle(new SetupError(`${name}: the connection closed while it was set up`));
    const check = (): void => {
      if (connection.open && bulk.readyState === 'open') settle();
    };
    const changed = (): void => {
      if (pc.connectionState === 'closed' || pc.connectionState === 'failed') died();
    };
    const unavailable = (error: Error): void => {
      if (!error.message.includes(connection.peer)) return;
      settle(new LinkClosedError(`${name}: nobody answers at the signalling server`));
    };
    const timer = setTimeout(
      () => settle(new LinkClosedError(`${name}: no connection within ${openMsMax / 1000} s`)),
      openMsMax,
    );
    peer.on('error', unavailable);
    pc.addEventListener('connectionstatechange', changed);
    connection.on('open', check);
    connection.on('error', died);
    connection.on('close', died);
    bulk.addEventListener('open', check);
    check();
  });
}

function createPeerTransport(
  connection: DataConnection,
  pc: RTCPeerConnection,
  bulk: RTCDataChannel,
  facts: PeerFacts,
): LinkEnds {
  const channels: Record<Lane, RTCDataChannel> = { control: connection.dataChannel, bulk };
  const transport: FragmentTransport = {
    // A data channel takes a copy of what it is given, in browsers and in Node.
    copies: true,
    buffered: (lane) => channels[lane].bufferedAmount,
    send(lane, fragment) {
      if (channels[lane].readyState !== 'open') throw new Error('channel is not open');
      channels[lane].send(fragment);
    },
    close: (how) => (how === 'flush' ? closeGently(connection, channels.control) : connection.close()),
  };
  const ends = createFramedLink(transport, facts);
  for (const lane of lanes) {
    channels[lane].bufferedAmountLowThreshold = bufferedBytesLow;
    channels[lane].addEventListener('bufferedamountlow', () => ends.drained());
    channels[lane].addEventListener('close', () => ends.lost('the channel closed'));
  }
  connection.on('close', () => ends.lost('the connection closed'));
  pc.addEventListener('connectionstatechange', () => {
    if (pc.connectionState === 'failed' || pc.connectionState === 'closed')
      ends.lost(`the connection ${pc.connectionState}`);
  });
  return ends;
}

/** Closing an RTCPeerConnection drops its queues, so the goodbye gets a moment to leave; the far end then closes. */
function closeGently(connection: DataConnection, control: RTCDataChannel): void {
  if (control.readyState !== 'open') return connection.close();
  const timer = setTimeout(() => connection.close(), flushMsMax);
  connection.on('close', () => clearTimeout(timer));
}

interface PeerFacts {
  readonly remote: string;
  readonly relayed: boolean;
  readonly addressBlock: string;
  readonly binding: string;
}

async function describe(pc: RTCPeerConnection, peer: string): Promise<PeerFacts> {
  const { address, relayed } = await selectedAddress(pc);
  return {
    remote: `peer ${peer}${relayed ? ' (relayed)' : ''}`,
    relayed,
    addressBlock: address,
    binding: bindingOf(pc.localDescription?.sdp ?? '', pc.remoteDescription?.sdp ?? ''),
  };
}

/** Both ends' DTLS fingerprints, sorted, so that each end gets the same text and a man in the middle another. */
export function bindingOf(...descriptions: readonly string[]): string {
  const fingerprints = new Set<string>();
  for (const sdp of descriptions) {
    for (const [, algorithm = '', value = ''] of sdp.matchAll(/^a=fingerprint:(\S+) +([0-9A-Fa-f:]+)/gm)) {
      fingerprints.add(`${algorithm.toLowerCase()} ${value.toUpperCase()}`);
    }
  }
  return [...fingerprints].toSorted().join('\n');
}

/** The far end of the candidate pair in use. Browsers hide addresses behind names; then it is unknown. */
async function selectedAddress(pc: RTCPeerConnection): Promise<{ address: string; relayed: boolean }> {
  const byId = new Map<string, Record<string, unknown>>();
  try {
    (await pc.getStats()).forEach((entry: Record<string, unknown>) => byId.set(String(entry['id']), entry));
  } catch {
    return { address: 'unknown', relayed: false };
  }
  const entries = [...byId.values()];
  const chosen = entries.find((entry) => entry['type'] === 'transport')?.['selectedCandidatePairId'];
  const pair =
    byId.get(String(chosen)) ??
    entries.find((entry) => entry['type'] === 'candidate-pair' && entry['nominated'] === true);
  const near = byId.get(String(pair?.['localCandidateId']));
  const far = byId.get(String(pair?.['remoteCandidateId']));
  const addressOf = (candidate: Record<string, unknown> | undefined): string | undefined => {
    const address = candidate?.['address'] ?? candidate?.['ip'];
    return typeof address === 'string' && address !== '' ? address : undefined;
  };
  if (near?.['candidateType'] === 'relay' || far?.['candidateType'] === 'relay')
    return { address: 'unknown', relayed: true };
  const remote = addressOf(far);
  // One machine talks to itself over its network address; that is loopback all the same.
  const itself = remote !== undefined && remote === addressOf(near);
  return { address: itself ? loopbackBlock : addressBlockOf(remote), relayed: false };
}
