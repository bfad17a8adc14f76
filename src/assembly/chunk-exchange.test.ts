/**
 * Weights between peers, in memory and in virtual time: real links, handshakes, digests and the hub's own machine for who holds
 * what; the hub's line is as slow as a test says. Volunteers die, lie, keep to themselves or have no room.
 */

import { beforeAll, expect, test } from 'vitest';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import type { Bytes } from '../core/bytes.ts';
import type { Digest, PeerId } from '../core/ids.ts';
import { createManualClock, type ManualClock } from '../core/manual-clock.fixture.ts';
import { createRandom } from '../core/prng.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { Identity } from '../protocol/identity.ts';
import type { Message } from '../protocol/messages.ts';
import { ChunkQuotaError, type ChunkStore } from '../protocol/ports.ts';
import { Holders } from '../swarm/holders.ts';
import { createChunkExchange, type ChunkExchange } from './chunk-exchange.ts';
import { createMemoryPeers, type MemoryPeersOptions } from './peer-links.fixture.ts';
import { createPeerLinks, type PeerLinks } from './peer-links.ts';
import { createRateLimit } from './rate-limit.ts';

const mebibyte = 2 ** 20;
const latencyMs = 5;
let identities: readonly Identity[];
let weights: Bytes;
let artifact: Artifact;
const chunks = new Map<Digest, Bytes>();

beforeAll(async () => {
  const made = Array.from({ length: 7 }, async (_, seed) =>
    createIdentity({ accountKey: await (await ed25519()).fromSeed(new Uint8Array(32).fill(seed + 1)) }),
  );
  identities = await Promise.all(made);
  const random = createRandom(11);
  weights = new Uint8Array(8 * mebibyte);
  for (let at = 0; at < weights.byteLength; at += 4096) new DataView(weights.buffer).setUint32(at, random.u32());
  const digests: Digest[] = [];
  for (let at = 0; at < weights.byteLength; at += mebibyte) {
    const chunk = weights.slice(at, at + mebibyte);
    const digest = await sha256Large(chunk);
    digests.push(digest);
    chunks.set(digest, chunk);
  }
  artifact = { bytes: weights.byteLength, chunks: digests };
});

interface Volunteer {
  readonly peer: PeerId;
  readonly exchange: ChunkExchange;
  readonly links: PeerLinks;
  readonly said: string[];
  leave(): Promise<void>;
}

interface VolunteerOptions {
  readonly store?: ChunkStore;
  readonly peers?: boolean;
  readonly uploadBytesPerSecond?: number;
}

/** A hub with a slow line, and volunteers that join it. */
function createSwarm(clock: ManualClock, bytesPerSecond: number, options: MemoryPeersOptions = {}) {
  const peers = createMemoryPeers(options);
  const holders = new Holders((digest) => chunks.has(digest), createRandom(3));
  const uploads = createRateLimit(clock, bytesPerSecond);
  const ends = new Map<PeerId, (message: Message, tails?: readonly Uint8Array[]) => void>();
  const sent = { bytes: 0 };
  const toldOf = new Set<PeerId>();

  const reply = (to: PeerId, message: Message, tails: readonly Uint8Array[] = []): void => {
    if (message.type === 'chunk-sources') for (const { peer } of message.sources) toldOf.add(peer);
    clock.after(latencyMs, () => ends.get(to)?.(message, tails));
  };
  const receive = (from: PeerId, message: Message): void => {
    if (message.type === 'chunks-sought') reply(from, holders.seek(from, message, clock.now()));
    if (message.type === 'chunks-held')
      for (const { to, message: told } of holders.announce(from, message)) reply(to, told);
    if (message.type !== 'chunk-get') return;
    const { digest } = message;
    const bytes = chunks.get(digest);
    if (bytes === undefined) return reply(from, { type: 'chunk-missing', digest });
    holders.given(from, digest, 'asked', clock.now());
    void uploads.run(async () => {
      if (!ends.has(from)) return 0;
      sent.bytes += bytes.byteLength;
      holders.given(from, digest, 'sent', clock.now());
      reply(from, { type: 'chunk', digest }, [bytes]);
      return bytes.byteLength;
    });
  };

  const join = (index: number, { store, peers: allowed = true, ...more }: VolunteerOptions = {}): Volunteer => {
    const identity = identities[index] as Identity;
    const { peer } = identity;
    const transport = { ...peers.transport(peer), allowed };
    const links = createPeerLinks({ identity, transport, verify: verifySignature, clock });
    const said: string[] = [];
    const exchange = createChunkExchange(store ?? createMemoryChunks({ digestBytes: sha256Large }), {
      links,
      clock,
      random: createRandom(index + 1),
      say: (line) => said.push(line),
      ...more,
    });
    ends.set(peer, (message, tails = []) => void exchange.receive(message, tails));
    exchange.attach({ send: async (message) => void clock.after(latencyMs, () => receive(peer, message)) });
    const leave = async (): Promise<void> => {
      ends.delete(peer);
      holders.lost(peer);
      exchange.close('it left');
      await links.close('it left');
    };
    return { peer, exchange, links, said, leave };
  };
  return { join, sent, peers, holders, toldOf };
}

/** All of them read the artifact; how long the last took, in virtual milliseconds. */
async function readAll(clock: ManualClock, volunteers: readonly Volunteer[], msMax = 60_000): Promise<number> {
  const start = clock.now();
  let last = 0;
  const failed: string[] = [];
  let reading = volunteers.length;
  for (const { exchange } of volunteers) {
    exchange.read(artifact).then(
      (bytes) => {
        reading -= 1;
        last = clock.now() - start;
        if (!bytes.every((byte, index) => byte === weights[index])) failed.push('wrong bytes');
      },
      (error: Error) => {
        reading -= 1;
        failed.push(error.message);
      },
    );
  }
  while (reading > 0 && clock.now() - start < msMax) await clock.run(250);
  expect({ reading, failed }).toEqual({ reading: 0, failed: [] });
  return last;
}

test('six volunteers take 8 MiB from a hub of 1 MiB/s: about one copy leaves it, in about the time of one volunteer', async () => {
  const clock = createManualClock();
  const alone = createSwarm(clock, mebibyte);
  const aloneMs = await readAll(clock, [alone.join(0)]);
  expect(alone.sent.bytes).toBe(8 * mebibyte);
  const swarm = createSwarm(clock, mebibyte);
  const volunteers = [0, 1, 2, 3, 4, 5].map((index) => swarm.join(index));
  const togetherMs = await readAll(clock, volunteers);
  expect(swarm.sent.bytes / weights.byteLength).toBeLessThanOrEqual(1.25);
  expect(togetherMs / aloneMs).toBeLessThanOrEqual(1.3);
  const counts = volunteers.map(({ exchange }) => exchange.counts());
  const sum = (what: 'hub' | 'peers' | 'passedOn' | 'wasted'): number =>
    counts.reduce((total, count) => total + count[what], 0);
  expect(sum('hub') + sum('peers')).toBe(6 * 8 * mebibyte);
  expect([sum('passedOn'), sum('hub'), sum('wasted')]).toEqual([sum('peers'), swarm.sent.bytes, 0]);
  expect(Math.max(...counts.map(({ givers }) => givers))).toBeGreaterThan(1);
}, 60_000);

test('a volunteer that leaves in the middle with what only it had costs the others no more than those chunks', async () => {
  const clock = createManualClock();
  const swarm = createSwarm(clock, mebibyte);
  const volunteers = [0, 1, 2].map((index) => swarm.join(index));
  const reading = readAll(clock, volunteers.slice(1));
  const [first] = volunteers;
  first?.exchange.read(artifact).catch(() => {});
  await clock.run(2_500);
  swarm.peers.kill(first?.peer as PeerId);
  await first?.leave();
  await reading;
  expect(swarm.sent.bytes / weights.byteLength).toBeLessThanOrEqual(1.5);
}, 60_000);

test('a volunteer that gives corrupt bytes is dropped by each after one chunk, and everybody has the right ones', async () => {
  const clock = createManualClock();
  const swarm = createSwarm(clock, 4 * mebibyte);
  const forger = swarm.join(0);
  const served: PeerId[] = [];
  forger.links.onMessage((peer, message) => {
    if (message.type !== 'chunk-get') return;
    served.push(peer);
    void forger.links.send(peer, { type: 'chunk', digest: message.digest }, [new Uint8Array(mebibyte)]).catch(() => {});
  });
  swarm.holders.announce(forger.peer, { digests: artifact.chunks, gone: [] });
  // Its own exchange would say that it has none; here only the forgery answers.
  forger.exchange.close('not used');
  const honest = [1, 2, 3].map((index) => swarm.join(index));
  await readAll(clock, honest);
  expect(served.toSorted()).toEqual(honest.map(({ peer }) => peer).toSorted());
  for (const { exchange, said } of honest) {
    expect(exchange.counts().wasted).toBe(mebibyte);
    expect(said).toEqual([`Volunteer ${forger.peer.slice(0, 8)} was dropped: it sent a corrupt chunk.`]);
  }
  expect(swarm.sent.bytes / weights.byteLength).toBeLessThanOrEqual(1.5);
}, 60_000);

test('who wants no links to others takes everything from the hub, and nobody hears of it', async () => {
  const clock = createManualClock();
  const swarm = createSwarm(clock, 8 * mebibyte);
  const [alone, other] = [swarm.join(0, { peers: false }), swarm.join(1)];
  await readAll(clock, [alone]);
  await readAll(clock, [other]);
  expect(swarm.sent.bytes).toBe(16 * mebibyte);
  expect([...swarm.toldOf]).toEqual([]);
  expect(alone.exchange.counts()).toMatchObject({ hub: 8 * mebibyte, peers: 0, passedOn: 0 });
}, 60_000);

test('who comes back with its store fetches nothing, and gives the others what they want without the hub', async () => {
  const clock = createManualClock();
  const swarm = createSwarm(clock, mebibyte);
  const disk = new Map<Digest, Bytes>();
  const store = (): ChunkStore => createMemoryChunks({ digestBytes: sha256Large, held: disk });
  const before = swarm.join(0, { store: store() });
  before.exchange.read(artifact).catch(() => {});
  await clock.run(3_500);
  await before.leave();
  const kept = disk.size;
  expect(kept).toBeGreaterThan(1);
  expect(kept).toBeLessThan(8);

  const again = swarm.join(1, { store: store() });
  await readAll(clock, [again]);
  expect(again.exchange.counts()).toMatchObject({ cached: kept * mebibyte, hub: (8 - kept) * mebibyte });
  const late = swarm.join(2);
  await readAll(clock, [late]);
  expect(late.exchange.counts()).toMatchObject({ hub: 0, peers: 8 * mebibyte, givers: 1 });
}, 60_000);

test('a full disk stops no read: the bytes are used, not kept, not promised to others, and the owner is told', async () => {
  const clock = createManualClock();
  const swarm = createSwarm(clock, 8 * mebibyte);
  const full: ChunkStore = {
    ...createMemoryChunks({ digestBytes: sha256Large }),
    put: async (digest, bytes) => {
      expect(await sha256Large(bytes)).toBe(digest);
      throw new ChunkQuotaError('the browser’s quota for this site is full');
    },
  };
  const volunteer = swarm.join(0, { store: full });
  await readAll(clock, [volunteer]);
  expect(volunteer.said).toEqual(['Weights cannot be kept: the browser’s quota for this site is full']);
  expect(swarm.holders.view().held).toBe(0);
}, 60_000);

test('nothing goes through a relay: who is only reached by one takes the chunks from the hub', async () => {
  const clock = createManualClock();
  const swarm = createSwarm(clock, 4 * mebibyte, { relayed: true });
  const [first, second] = [swarm.join(0), swarm.join(1)];
  await readAll(clock, [first]);
  await readAll(clock, [second]);
  expect(second.exchange.counts()).toMatchObject({ peers: 0, hub: 8 * mebibyte });
  expect(first.exchange.counts().passedOn).toBe(0);
}, 60_000);

test('what a volunteer passes on stays under its cap', async () => {
  const clock = createManualClock();
  const swarm = createSwarm(clock, mebibyte / 1024);
  const disk = new Map(chunks);
  const store = createMemoryChunks({ digestBytes: sha256Large, held: disk });
  const giver = swarm.join(0, { store, uploadBytesPerSecond: 2 * mebibyte });
  await readAll(clock, [giver]);
  const taker = swarm.join(1);
  const ms = await readAll(clock, [taker]);
  expect(taker.exchange.counts()).toMatchObject({ hub: 0, peers: 8 * mebibyte });
  // The first of eight leaves at once, each next half a second later.
  expect(ms).toBeGreaterThanOrEqual(3_500);
  expect(ms).toBeLessThan(6_000);
}, 60_000);
