/** Who takes which chunk from the hub, and who is sent to whom: the hub's machine behind weights between peers. */

import { beforeEach, expect, test } from 'vitest';
import type { Digest, PeerId } from '../core/ids.ts';
import { createRandom } from '../core/prng.ts';
import { Holders } from './holders.ts';

const digest = (index: number): Digest => index.toString(16).padStart(64, '0') as Digest;
const peer = (index: number): PeerId => index.toString(16).padStart(32, '0') as PeerId;
const all = Array.from({ length: 8 }, (_, index) => digest(index));
const nothing: readonly never[] = [];

let holders: Holders;
let needed: Set<Digest>;
beforeEach(() => {
  needed = new Set(all);
  holders = new Holders((one) => needed.has(one), createRandom(7));
});

const seek = (from: number, digests: readonly Digest[], now: number, shun: readonly PeerId[] = []) =>
  holders.seek(peer(from), { digests: [...digests], shun: [...shun] }, now);
const hold = (from: number, digests: readonly Digest[]) =>
  holders.announce(peer(from), { digests: [...digests], gone: [...nothing] });

test('volunteers that begin together are granted different chunks, and no chunk twice', () => {
  const granted = [1, 2, 3, 4].map((from) => seek(from, all, 0).origin);
  expect(granted.map(({ length }) => length)).toEqual([2, 2, 2, 2]);
  expect(new Set(granted.flat()).size).toBe(8);
  expect(seek(5, all, 1)).toEqual({ type: 'chunk-sources', sources: [], origin: [] });
});

test('who seeks alone soon has enough from the hub to fill its link', () => {
  expect(seek(1, all, 0).origin).toHaveLength(2);
  expect(seek(1, all.slice(2), 200).origin).toHaveLength(6);
});

test('a chunk that somebody holds is fetched there, by any but the holder and those who shun it', () => {
  hold(1, [digest(0)]);
  expect(seek(2, [digest(0)], 0)).toMatchObject({ sources: [{ peer: peer(1), digests: [digest(0)] }], origin: [] });
  expect(seek(3, [digest(0)], 0, [peer(1)])).toMatchObject({ sources: [], origin: [digest(0)] });
  expect(holders.announce(peer(1), { digests: [], gone: [digest(0)] })).toEqual([]);
  expect(seek(4, [digest(0)], 10_000)).toMatchObject({ sources: [], origin: [digest(0)] });
});

test('two of those who wait hear at once of a new holder, and each is told once', () => {
  seek(1, [digest(0)], 0);
  for (const from of [2, 3, 4]) expect(seek(from, [digest(0)], 0).origin).toEqual([]);
  const told = hold(1, [digest(0)]);
  expect(told.map(({ to }) => to)).toEqual([peer(2), peer(3)]);
  expect(told[0]?.message).toEqual({
    type: 'chunk-sources',
    sources: [{ peer: peer(1), digests: [digest(0)] }],
    origin: [],
  });
  expect(hold(2, [digest(0)]).map(({ to }) => to)).toEqual([peer(4)]);
});

test('a grant that is not used, not announced or whose volunteer is gone is given to the next', () => {
  seek(1, all.slice(0, 2), 0);
  expect(seek(2, all.slice(0, 2), 7_900).origin).toEqual([]);
  expect(seek(2, all.slice(0, 2), 8_100).origin).toEqual(all.slice(0, 2));

  holders.given(peer(2), digest(0), 'asked', 8_100);
  expect(seek(3, [digest(0)], 60_000).origin, 'it waits in the hub’s own queue').toEqual([]);
  holders.given(peer(2), digest(0), 'sent', 60_000);
  expect(seek(3, [digest(0)], 79_000).origin).toEqual([]);
  expect(seek(3, [digest(0)], 81_000).origin).toEqual([digest(0)]);
  holders.lost(peer(3));
  expect(seek(4, [digest(0)], 81_000).origin).toEqual([digest(0)]);
});

test('who waits long for a holder takes the chunk from the hub, where that has little to do', () => {
  hold(1, [digest(0)]);
  expect(seek(2, [digest(0)], 0).origin).toEqual([]);
  expect(seek(2, [digest(0)], 9_900).origin).toEqual([]);
  expect(seek(2, [digest(0)], 10_100).origin).toEqual([digest(0)]);
  seek(3, [digest(0)], 10_100);
  seek(4, all.slice(1), 20_200);
  expect(seek(3, [digest(0)], 20_300).origin, 'the hub sends to two others').toEqual([]);
});

test('chunks that no job needs are neither remembered nor granted to one alone', () => {
  needed.delete(digest(0));
  hold(1, [digest(0)]);
  expect(holders.view()).toEqual({ chunks: 0, held: 0 });
  expect(seek(2, [digest(0)], 0).origin).toEqual([digest(0)]);
  expect(seek(3, [digest(0)], 0).origin).toEqual([digest(0)]);
  hold(1, [digest(1)]);
  holders.forget(digest(1));
  expect(holders.view()).toEqual({ chunks: 0, held: 0 });
});

test('what one volunteer may announce is bounded, and what it held goes with it', () => {
  const many = Array.from({ length: 5000 }, (_, index) => digest(1000 + index));
  for (const one of many) needed.add(one);
  hold(1, many);
  expect(holders.view()).toEqual({ chunks: 4096, held: 4096 });
  holders.lost(peer(1));
  expect(holders.view()).toEqual({ chunks: 0, held: 0 });
});
