/**
 * Two numeric classes whose honest volunteers give different bits. With the rule nobody is called a liar and all is
 * accepted; the same volunteers without classes disagree, which is what the rule is for.
 */

import { describe, expect, it } from 'vitest';
import type { Manifest } from '../protocol/manifest.ts';
import { classPatienceMs, comparesBits } from './numeric-classes.ts';
import { sampleManifest } from './sample-manifests.ts';
import { submitterAccount, TestHub } from './test-hub.ts';

const loose = (units: number, replicas = 2): Manifest =>
  sampleManifest({ units, replicas, unitSeconds: 10 }, submitterAccount);
/** Floats that agree only when they are the same. */
const exact = (units: number, replicas = 2): Manifest => ({
  ...loose(units, replicas),
  verify: { replicas, absolute: 0, relative: 0 },
});

const class1 = '1'.repeat(64);
const class2 = '2'.repeat(64);

/** Runs a job with these volunteers, who each give their class's bits and find other bits unequal. */
function finishAll(hub: TestHub, classOf: ReadonlyMap<string, string>): void {
  for (let turn = 0; turn < 100 && hub.state()?.state !== 'done'; turn++) {
    for (const [name, own] of classOf) {
      for (const lease of hub.leases(name)) hub.finish(name, lease, `f${lease.unit}${own}`);
      hub.pull(name, 2);
    }
    for (const { unit, a, b } of hub.taken('compare')) {
      hub.input({ type: 'compared', job: hub.state()!.job, unit, a: a.attempt, b: b.attempt, agree: false });
    }
    hub.pass(1);
  }
}

const four = new Map([
  ['a1', '1'],
  ['a2', '2'],
  ['a3', '1'],
  ['a4', '2'],
]);

describe('two classes with different bits, replicas 2', () => {
  it('accept everything without a disagreement, and each unit within one class', () => {
    const hub = new TestHub().submit(exact(8));
    for (const [name, own] of four) hub.join(name, { numericClass: own.repeat(64) });
    finishAll(hub, four);
    expect(hub.state()).toMatchObject({ state: 'done', accepted: 8, disagreements: 0, attempts: 16, reason: null });
    const classes = new Map<number, Set<string>>();
    for (const fact of hub.facts('leased') as unknown[]) {
      const { units, numericClass } = fact as { units: [number, number][]; numericClass: string };
      for (const [unit] of units) classes.set(unit, (classes.get(unit) ?? new Set()).add(numericClass));
    }
    expect([...classes.values()].map((all) => all.size)).toEqual(Array.from({ length: 8 }, () => 1));
  });

  it('disagree when the classes are not told', () => {
    const hub = new TestHub().submit(exact(8));
    for (const name of four.keys()) hub.join(name);
    finishAll(hub, four);
    expect(hub.state()?.disagreements).toBeGreaterThan(0);
  });

  it('share units where tolerances decide', () => {
    const hub = new TestHub()
      .submit(loose(1))
      .join('a1', { numericClass: class1 })
      .join('a2', { numericClass: class2 });
    expect([hub.leases('a1'), hub.leases('a2')].map((leases) => leases.length)).toEqual([1, 1]);
  });

  it('stay apart after a restart of the hub', () => {
    for (const compact of [false, true]) {
      const hub = new TestHub()
        .submit(exact(1))
        .join('a1', { numericClass: class1 })
        .join('a2', { numericClass: class1 })
        .join('a3', { numericClass: class2 });
      const [lease] = hub.leases('a1');
      hub.finish('a1', lease!, 'f1').restart(compact);
      hub.join('a3', { numericClass: class2 });
      expect(hub.leases('a3')).toEqual([]);
      expect(hub.join('a2', { numericClass: class1 }).leases('a2')).toHaveLength(1);
    }
  });
});

describe('a class that cannot finish a unit', () => {
  it('does not begin one while another class can', () => {
    const hub = new TestHub()
      .join('a2', { numericClass: class2 })
      .join('a3', { numericClass: class2 })
      .join('a1', { numericClass: class1, slots: 4 })
      .submit(exact(2));
    expect(hub.leases('a1')).toEqual([]);
    expect(hub.leases('a2').length + hub.leases('a3').length).toBeGreaterThan(0);
  });

  it('nor does a small minority, which might have made its class up to be among itself', () => {
    const hub = new TestHub();
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) hub.join(name, { numericClass: class1 });
    hub.join('b1', { numericClass: class2 }).join('b2', { numericClass: class2 }).submit(exact(8));
    hub.pass(3);
    expect([...hub.leases('b1'), ...hub.leases('b2')]).toEqual([]);
    expect(hub.join('b3', { numericClass: class2 }).pass(2).leases('b3')).toHaveLength(1);
  });

  it('is told as the reason on the job, and no longer once somebody comes', () => {
    const hub = new TestHub()
      .submit(exact(1))
      .join('a1', { numericClass: class1 })
      .join('a2', { numericClass: class2 });
    hub.finish('a1', hub.leases('a1')[0]!, 'f1').pass(1);
    expect(hub.leases('a2')).toEqual([]);
    expect(hub.state()).toMatchObject({ state: 'running', accepted: 0 });
    expect(hub.state()?.reason).toBe(
      'waits for volunteers: results are compared bit for bit, so each unit needs 2 of one numeric class, ' +
        'and the largest class here has 1 volunteer (2 classes in all)',
    );
    expect(hub.sent('5ub', 'job-state').at(-1)?.reason).toContain('one numeric class');
    hub.join('a3', { numericClass: class1 });
    hub.finish('a3', hub.leases('a3')[0]!, 'f1');
    expect(hub.state()).toMatchObject({ state: 'done', accepted: 1, reason: null });
  });

  it('two tabs of one account, or of one house, are one volunteer', () => {
    const twins = new TestHub()
      .submit(exact(1))
      .join('a1', { numericClass: class1 })
      .join('a2', { numericClass: class1, account: 'a1' })
      .pass(1);
    expect(twins.state()?.reason).toContain('has 1 volunteer (');
    const house = new TestHub()
      .submit(exact(1))
      .join('a1', { numericClass: class1, block: '10.0.0.0/24' })
      .join('a2', { numericClass: class1, block: '10.0.0.0/24' })
      .pass(1);
    expect(house.state()?.reason).toContain('has 1 volunteer (');
  });

  it('because it went away, leaves its unit to another class after a while, and nobody is judged for it', () => {
    const hub = new TestHub().submit(exact(1)).join('a1', { numericClass: class1 });
    hub.finish('a1', hub.leases('a1')[0]!, 'f1').lose('a1');
    hub.join('a2', { numericClass: class2 }).join('a3', { numericClass: class2 });
    hub.pass(classPatienceMs / 1000 - 2);
    expect([...hub.leases('a2'), ...hub.leases('a3')]).toEqual([]);
    hub.pass(4);
    const second = hub.leases('a2')[0];
    const third = hub.leases('a3')[0];
    hub.finish('a2', second!, 'f2').finish('a3', third!, 'f2');
    expect(hub.state()).toMatchObject({ state: 'done', accepted: 1, disagreements: 0 });
    expect(hub.facts('dropped')).toHaveLength(1);
    expect(hub.hub.view().accounts.find(({ disagreed }) => disagreed > 0)).toBeUndefined();
    expect(hub.taken('forget').map(({ digest }) => digest.slice(0, 2))).toContain('f1');
  });
});

it('bits decide for generated text and for floats without tolerance, not for whole numbers or a single replica', () => {
  expect(comparesBits(exact(1))).toBe(true);
  expect(comparesBits(loose(1))).toBe(false);
  expect(comparesBits(exact(1, 1))).toBe(false);
  const job = exact(1);
  if (job.program !== 'shader') throw new Error('a shader job was expected');
  const whole = {
    ...job,
    shader: { ...job.shader, buffers: [{ binding: 0, kind: 'output', type: 'u32', count: 1 } as const] },
  };
  expect(comparesBits(whole)).toBe(false);
});
