import { describe, expect, test } from 'vitest';
import { createPacer, kindOf, submitMsMax, type Work } from './pacer.ts';

const work = (kind: string, dispatches: number, groups: number): Work => new Map([[kind, { dispatches, groups }]]);

describe('the pacer', () => {
  test('lets few dispatches of an unknown kind into one submit, and as many as fit once it knows them', () => {
    const pacer = createPacer();
    expect(Math.floor(submitMsMax / pacer.estimate('a', 64))).toBeLessThanOrEqual(4);
    pacer.finished(pacer.submitted(work('a', 4, 256), 0), 8);
    expect(pacer.estimate('a', 64)).toBeCloseTo(2, 5);
    expect(pacer.estimate('b', 64)).toBeCloseTo(submitMsMax / 4, 5);
  });

  test('corrects an estimate that is too low at once, and one that is too high within a few submits', () => {
    const pacer = createPacer();
    pacer.finished(pacer.submitted(work('a', 1, 64), 0), 1);
    pacer.finished(pacer.submitted(work('a', 1, 64), 10), 60);
    expect(pacer.estimate('a', 64)).toBeCloseTo(50, 5);
    for (let at = 100; at < 800; at += 100) pacer.finished(pacer.submitted(work('a', 1, 64), at), at + 1);
    expect(pacer.estimate('a', 64)).toBeLessThan(1.1);
  });

  test('counts only the time that a submit ran when it waited behind another', () => {
    const pacer = createPacer();
    const first = pacer.submitted(work('a', 1, 64), 0);
    const second = pacer.submitted(work('b', 1, 64), 1);
    pacer.finished(first, 40);
    pacer.finished(second, 50);
    expect(pacer.estimate('b', 64)).toBeCloseTo(10, 5);
    expect(pacer.busyMs).toBe(50);
  });

  test.each([0.1, 0.25, 0.5, 0.75, 0.9])('keeps a duty of %f within five points with timers that are late', (duty) => {
    const pacer = createPacer();
    pacer.setDuty(duty);
    let now = 0;
    for (let index = 0; index < 200; index++) {
      const restMs = pacer.restMs(now);
      // As the submitter does: no timer for less than 4 ms, and those that there are fire up to 9 ms late.
      if (restMs >= 4) now += restMs + (index % 10);
      const ticket = pacer.submitted(work('a', 1, 64), now);
      now += 20 + (index % 7) * 10;
      pacer.finished(ticket, now);
    }
    expect(Math.abs(pacer.busyMs / (now + pacer.restMs(now)) - duty)).toBeLessThan(0.05);
  });

  test('counts time without work as rest, and never rests at full duty', () => {
    const pacer = createPacer();
    pacer.setDuty(0.5);
    pacer.finished(pacer.submitted(work('a', 1, 64), 0), 100);
    expect(pacer.restMs(100)).toBe(100);
    expect(pacer.restMs(170)).toBe(30);
    expect(pacer.restMs(1000)).toBe(0);
    pacer.setDuty(1);
    pacer.finished(pacer.submitted(work('a', 1, 64), 1000), 2000);
    expect(pacer.restMs(2000)).toBe(0);
  });

  test('tells kinds apart by pipeline and magnitude, as time is not linear over magnitudes', () => {
    expect(kindOf('a', 64)).toBe(kindOf('a', 100));
    expect(kindOf('a', 64)).not.toBe(kindOf('a', 200));
    expect(kindOf('a', 64)).not.toBe(kindOf('b', 64));
  });
});
