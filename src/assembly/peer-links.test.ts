/** Links among volunteers: dialled on demand, one for each pair, in order, lost and found again; in memory, with real keys. */

import { beforeAll, expect, test } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { createManualClock, type ManualClock } from '../core/manual-clock.fixture.ts';
import type { PeerId } from '../core/ids.ts';
import type { Identity } from '../protocol/identity.ts';
import type { Message } from '../protocol/messages.ts';
import { createMemoryPeers, type MemoryPeers } from './peer-links.fixture.ts';
import { createPeerLinks, idleMsMax, reachMsMax, type PeerLinks } from './peer-links.ts';
import { openSession } from './session.ts';

/** In the order of their peer ids: the first chooses. */
let identities: readonly Identity[];

beforeAll(async () => {
  const made = [1, 2, 3, 4].map(async (seed) =>
    createIdentity({ accountKey: await (await ed25519()).fromSeed(new Uint8Array(32).fill(seed)) }),
  );
  identities = (await Promise.all(made)).toSorted((a, b) => (a.peer < b.peer ? -1 : 1));
});

interface Member {
  readonly peer: PeerId;
  readonly links: PeerLinks;
  readonly heard: string[];
  readonly lost: string[];
}

function join(peers: MemoryPeers, index: number, more: { clock?: ManualClock; linksMax?: number } = {}): Member {
  const identity = identities[index];
  if (identity === undefined) throw new Error(`no identity ${index}`);
  const { peer } = identity;
  const transport = peers.transport(peer);
  const links = createPeerLinks({ identity, transport, verify: verifySignature, clock: systemClock, ...more });
  const member: Member = { peer, links, heard: [], lost: [] };
  links.onMessage((from, message, tails) => member.heard.push(textOf(from, message, tails)));
  links.onLost((from, reason) => member.lost.push(`${nameOf(from)}: ${reason}`));
  return member;
}

const nameOf = (peer: PeerId): string => `peer ${identities.findIndex((identity) => identity.peer === peer)}`;
const textOf = (from: PeerId, message: Message, tails: readonly Uint8Array[]): string =>
  `${nameOf(from)}: ${message.type === 'refused' ? message.reason : message.type} ${tails.map(String).join()}`.trimEnd();
const say = (reason: string): Message => ({ type: 'refused', what: 'test', reason });
const eventually = (check: () => void): Promise<void> =>
  expect.poll(() => (check(), true), { timeout: 5_000 }).toBe(true);

test.each([
  [0, 1],
  [1, 0],
])('peer %i reaches peer %i, and what it says arrives in order, bytes included', async (from, to) => {
  const peers = createMemoryPeers();
  const [near, far] = [join(peers, from), join(peers, to)];
  await Promise.all([1, 2, 3].map((number) => near.links.send(far.peer, say(`word ${number}`))));
  await near.links.send(far.peer, { type: 'chunk', digest: 'ab'.repeat(32) as never }, [Uint8Array.of(1, 2)]);
  await eventually(() => expect(far.heard).toHaveLength(4));
  expect(far.heard.slice(0, 3)).toEqual([1, 2, 3].map((number) => `peer ${from}: word ${number}`));
  expect(far.heard[3]).toBe(`peer ${from}: chunk 1,2`);
  await far.links.send(near.peer, say('and back'));
  await eventually(() => expect(near.heard).toEqual([`peer ${to}: and back`]));
  expect(peers.dials).toBe(1);
  expect(near.links.linked(far.peer)).toEqual({ relayed: false });
  const [sent, received] = [near.links.counted().get(far.peer), far.links.counted().get(near.peer)];
  expect(sent?.sent).toBe(received?.received);
  expect(sent?.sent).toBeGreaterThan(500);
});

test('two that dial each other at the same time end up with one link, and no word is lost or doubled', async () => {
  for (let round = 0; round < 20; round++) {
    let inside = 0;
    let bothDial = (): void => {};
    const both = new Promise<void>((resolve) => (bothDial = resolve));
    const peers = createMemoryPeers({
      beforeLink: async () => {
        if (++inside === 2) bothDial();
        await both;
        // Who is first differs from round to round.
        for (let turn = 0; turn < round % 4; turn++) await Promise.resolve();
      },
    });
    const [one, two] = [join(peers, 0), join(peers, 1)];
    await Promise.all([one.links.send(two.peer, say('from one')), two.links.send(one.peer, say('from two'))]);
    await Promise.all([one.links.send(two.peer, say('again')), two.links.send(one.peer, say('again'))]);
    await eventually(() => {
      expect(one.heard).toEqual(['peer 1: from two', 'peer 1: again']);
      expect(two.heard).toEqual(['peer 0: from one', 'peer 0: again']);
    });
    expect([one.lost, two.lost], `round ${round}`).toEqual([[], []]);
  }
});

test('a peer that nobody reaches costs one line within its time, and the next try may succeed', async () => {
  const clock = createManualClock();
  const peers = createMemoryPeers();
  const near = join(peers, 0, { clock });
  const missing = identities[1]?.peer as PeerId;
  const refused = near.links.send(missing, say('hello?')).catch((error: Error) => error.message);
  await clock.run(reachMsMax + 1);
  expect(await refused).toBe(`peer ${missing}: not reached within 12 s (peer ${missing}: nobody answers)`);
  const far = join(peers, 1, { clock });
  const sent = near.links.send(missing, say('hello'));
  // The loop that dials may still be in its last pause.
  await clock.run(3_000);
  await sent;
  await eventually(() => expect(far.heard).toEqual(['peer 0: hello']));
});

test('a lost link is told once on both ends, and the next word dials again', async () => {
  const peers = createMemoryPeers();
  const [near, far] = [join(peers, 1), join(peers, 0)];
  await near.links.send(far.peer, say('before'));
  await eventually(() => expect(far.heard).toEqual(['peer 1: before']));
  peers.kill(far.peer);
  await eventually(() => expect([near.lost.length, far.lost.length]).toEqual([1, 1]));
  expect(near.lost[0]).toMatch(/^peer 0: .*killed$/);
  const back = join(peers, 0);
  await near.links.send(far.peer, say('after'));
  await eventually(() => expect(back.heard).toEqual(['peer 1: after']));
});

test('an idle link is closed without a fuss, and one that is held stays', async () => {
  const clock = createManualClock();
  const peers = createMemoryPeers();
  const [near, far, kept] = [join(peers, 0, { clock }), join(peers, 1, { clock }), join(peers, 2, { clock })];
  const release = near.links.hold(kept.peer);
  kept.links.hold(near.peer);
  const sent = Promise.all([near.links.send(far.peer, say('once')), near.links.send(kept.peer, say('once'))]);
  await clock.run(100);
  await sent;
  await clock.run(idleMsMax + 10_000);
  expect([near.links.linked(far.peer), near.links.linked(kept.peer)]).toEqual([undefined, { relayed: false }]);
  expect([near.lost, far.lost, kept.lost]).toEqual([[], [], []]);
  release();
  await clock.run(10_000);
  expect(near.links.linked(kept.peer)).toBeUndefined();
  expect(kept.lost).toHaveLength(1);
});

test('a banned peer is cut off, and neither end reaches the other afterwards', async () => {
  const clock = createManualClock();
  const peers = createMemoryPeers();
  const [near, far] = [join(peers, 0, { clock }), join(peers, 1, { clock })];
  const sent = near.links.send(far.peer, say('hello'));
  await clock.run(100);
  await sent;
  near.links.ban(far.peer, 'it sent corrupt bytes');
  await expect(near.links.send(far.peer, say('more'))).rejects.toThrow(/^peer [0-9a-f]{32}: it sent corrupt bytes$/);
  await clock.run(100);
  const refused = far.links.send(near.peer, say('let me in')).catch((error: Error) => error.message);
  await clock.run(reachMsMax + 1);
  expect(await refused).toMatch(/not reached within 12 s/);
  expect(near.heard).toEqual([]);
});

test('a full house refuses one more while all its links are in use, and gives up the longest idle one later', async () => {
  const clock = createManualClock();
  const peers = createMemoryPeers();
  const near = join(peers, 0, { clock, linksMax: 1 });
  const [far, other] = [join(peers, 1, { clock }), join(peers, 2, { clock })];
  const sent = near.links.send(far.peer, say('hello'));
  await clock.run(100);
  await sent;
  await expect(near.links.send(other.peer, say('hello'))).rejects.toThrow('too many links are open');
  await clock.run(6_000);
  const later = near.links.send(other.peer, say('hello'));
  await clock.run(100);
  await later;
  expect([near.links.linked(far.peer), near.links.linked(other.peer)]).toEqual([undefined, { relayed: false }]);
});

test('only volunteers are let in: a hub that dials one is refused', async () => {
  const peers = createMemoryPeers();
  const near = join(peers, 0);
  const [, , identity] = identities;
  if (identity === undefined) throw new Error('no identity');
  const link = await peers.transport(identity.peer).dial(near.peer);
  const options = { identity, role: 'hub', verify: verifySignature, clock: systemClock } as const;
  await expect(openSession(link, options)).rejects.toThrow('expected a volunteer, not a hub');
});
