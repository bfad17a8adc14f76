import { describe, expect, it } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { leaseMsMax, leaseMsMin } from '../core/limits.ts';
import { Deque, Heap } from './collections.ts';
import { leaseMs, planBatch, SpeedTable, type Question } from './scheduler.ts';

const question: Question = {
  slots: 4,
  held: 0,
  undealt: 1000,
  unitMs: 100,
  queueMs: 0,
  horizonMs: 10_000,
  waitedMs: 0,
};

describe('a plan', () => {
  it('fills the slots of a known volunteer while there is much to do', () => {
    expect(planBatch(question)).toBe(4);
  });

  it('gives nothing without demand or without units', () => {
    expect(planBatch({ ...question, slots: 0 })).toBe(0);
    expect(planBatch({ ...question, undealt: 0 })).toBe(0);
  });

  it('tries a stranger with one unit and waits for what comes of it', () => {
    expect(planBatch({ ...question, unitMs: undefined })).toBe(1);
    expect(planBatch({ ...question, unitMs: undefined, held: 1 })).toBe(0);
  });

  it('holds a slow volunteer back near the end, but not for longer than the unit would have taken', () => {
    const slow = { ...question, unitMs: 5_000, horizonMs: 1_000 };
    expect(planBatch(slow)).toBe(0);
    expect(planBatch({ ...slow, waitedMs: 5_001 })).toBe(1);
    expect(planBatch({ ...slow, unitMs: 900 })).toBe(1);
  });

  it('shrinks batches towards the end', () => {
    expect(planBatch({ ...question, slots: 64, horizonMs: 10_000 })).toBe(50);
    expect(planBatch({ ...question, slots: 64, horizonMs: 1_000 })).toBe(5);
  });
});

describe('the horizon', () => {
  it('is the work over the summed speed while there is much to do', () => {
    const speeds = new SpeedTable();
    for (let count = 0; count < 10; count++) speeds.add(1000);
    expect(speeds.horizonMs(1000)).toBeGreaterThan(85_000);
    expect(speeds.horizonMs(1000)).toBeLessThan(115_000);
  });

  it('leaves those out who would be what everybody waits for', () => {
    const speeds = new SpeedTable();
    speeds.add(100);
    const alone = speeds.horizonMs(4);
    speeds.add(10_000);
    expect(speeds.horizonMs(4)).toBe(alone);
    expect(speeds.horizonMs(1000)).toBeLessThan(alone * 250);
    speeds.remove(100);
    expect(speeds.horizonMs(4)).toBeGreaterThan(30_000);
  });
});

it('a lease runs as long as the unit usually takes, with a margin and within bounds', () => {
  expect(leaseMs(10_000, 30, 0)).toBe(42_000);
  expect(leaseMs(1, 30, 0)).toBe(leaseMsMin);
  expect(leaseMs(undefined, 30, 0)).toBe(62_000);
  expect(leaseMs(10 ** 9, 30, 0)).toBe(leaseMsMax);
});

describe('containers', () => {
  it('a deque keeps order over many turns and growths', () => {
    const deque = new Deque<number>();
    const model: number[] = [];
    const random = createRandom(3);
    for (let step = 0; step < 5_000; step++) {
      const kind = random.below(3);
      if (kind === 0) {
        deque.pushBack(step);
        model.push(step);
      } else if (kind === 1) {
        deque.pushFront(step);
        model.unshift(step);
      } else {
        expect(deque.popFront()).toBe(model.shift());
      }
      expect(deque.length).toBe(model.length);
    }
  });

  it('a heap gives back in order, equals as they came', () => {
    const heap = new Heap<number>();
    const random = createRandom(4);
    const pushed = Array.from({ length: 1000 }, (_, index) => ({ key: random.below(50), index }));
    for (const { key, index } of pushed) heap.push(key, index);
    const expected = pushed.toSorted((a, b) => a.key - b.key || a.index - b.index).map(({ index }) => index);
    expect(Array.from({ length: 1000 }, () => heap.pop())).toEqual(expected);
    expect(heap.pop()).toBeUndefined();
  });
});
