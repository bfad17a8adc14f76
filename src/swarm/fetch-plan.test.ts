/** What a volunteer asks whom for: rarest first, peers before the hub, elsewhere when somebody lets it wait. */

import { expect, test } from 'vitest';
import type { Digest, PeerId } from '../core/ids.ts';
import { createRandom } from '../core/prng.ts';
import { FetchPlan } from './fetch-plan.ts';

const digest = (index: number): Digest => index.toString(16).padStart(64, '0') as Digest;
const peer = (index: number): PeerId => index.toString(16).padStart(32, '0') as PeerId;
const [one, two, three] = [peer(1), peer(2), peer(3)];

function planOf(count: number, shared = true): FetchPlan {
  const plan = new FetchPlan(createRandom(5));
  for (let index = 0; index < count; index++) plan.want(digest(index), shared);
  return plan;
}
const told = (plan: FetchPlan, holders: readonly [PeerId, readonly number[]][], origin: readonly number[] = []): void =>
  plan.told({
    sources: holders.map(([holder, indices]) => ({ peer: holder, digests: indices.map(digest) })),
    origin: origin.map(digest),
  });

test('what is not shared is asked of the hub, eight at a time, and never of anybody else', () => {
  const plan = planOf(10, false);
  const asks = plan.asks(0);
  expect(asks.map(({ from }) => from)).toEqual(Array.from({ length: 8 }, () => 'hub'));
  expect(plan.seek(0)).toBeUndefined();
  expect(plan.asks(1)).toEqual([]);
  plan.took(asks[0]?.digest ?? digest(0), 'hub');
  expect(plan.asks(2)).toHaveLength(1);
});

test('nothing is asked of a hub that is not linked', () => {
  const plan = planOf(2, false);
  expect(plan.asks(0, false)).toEqual([]);
  expect(plan.asks(0, true)).toHaveLength(2);
});

test('the hub is asked who holds what; what it grants is taken from it, what a peer has from the peer', () => {
  const plan = planOf(3);
  expect(plan.asks(0)).toEqual([]);
  expect(plan.seek(0)?.digests.toSorted()).toEqual([0, 1, 2].map(digest));
  expect(plan.seek(50), 'not again at once').toBeUndefined();
  told(plan, [[one, [0, 1]]], [1, 2]);
  const asks = plan.asks(60);
  expect(asks).toContainEqual({ digest: digest(2), from: 'hub' });
  expect(
    asks.filter(({ from }) => from === one),
    'one at first, until it has given something right',
  ).toHaveLength(1);
  expect(asks).toHaveLength(3);
});

test('the chunk that fewest hold is asked for first', () => {
  for (let seed = 0; seed < 20; seed++) {
    const plan = new FetchPlan(createRandom(seed));
    for (const index of [0, 1, 2]) plan.want(digest(index), true);
    told(plan, [
      [one, [0, 1, 2]],
      [two, [0, 1]],
      [three, [0]],
    ]);
    expect(plan.asks(0)[0], `seed ${seed}`).toEqual({ digest: digest(2), from: one });
  }
});

test('while bytes are being checked nobody else is asked for the same chunk', () => {
  const plan = planOf(1);
  told(plan, [
    [one, [0]],
    [two, [0]],
  ]);
  const [first] = plan.asks(0);
  const from = first?.from ?? 'hub';
  expect(plan.answered(digest(0), from, 10)).toBe(true);
  expect(plan.answered(digest(0), from, 10), 'an answer counts once').toBe(false);
  expect(plan.asks(20)).toEqual([]);
  plan.refused(digest(0), from);
  expect(plan.asks(30)).toEqual([{ digest: digest(0), from: from === one ? two : one }]);
});

test('a holder that lets us wait is asked no more after a while, and another is meanwhile', () => {
  const plan = planOf(1);
  told(plan, [[one, [0]]]);
  expect(plan.asks(0)).toEqual([{ digest: digest(0), from: one }]);
  told(plan, [[two, [0]]]);
  expect(plan.asks(5_900)).toEqual([]);
  expect(plan.asks(6_100)).toEqual([{ digest: digest(0), from: two }]);
  expect(plan.answered(digest(0), one, 6_200), 'late, and still what we asked for').toBe(true);
});

test('a peer that is shunned is asked for nothing, and the hub hears of it', () => {
  const plan = planOf(2);
  told(plan, [[one, [0, 1]]]);
  plan.asks(0);
  plan.shun(one);
  told(plan, [[one, [0, 1]]]);
  expect(plan.asks(10)).toEqual([]);
  expect(plan.seek(500)?.shun).toEqual([one]);
});

test('a holder that has none after all three times is shunned, and one that gives is not', () => {
  const plan = planOf(6);
  for (const index of [0, 1, 2]) {
    told(plan, [[one, [index]]]);
    plan.asks(index);
    plan.missing(digest(index), one);
  }
  expect(plan.seek(10_000)?.shun).toEqual([one]);
  told(plan, [[two, [3]]]);
  plan.asks(10_000);
  plan.answered(digest(3), two, 10_001);
  plan.took(digest(3), two);
  plan.missing(digest(4), two);
  expect(plan.seek(20_000)?.shun).toEqual([one]);
});

test('what a lost link owed is asked again', () => {
  const plan = planOf(2, false);
  expect(plan.asks(0)).toHaveLength(2);
  plan.lost('hub');
  expect(plan.asks(1)).toHaveLength(2);
});
