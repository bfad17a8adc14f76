import { describe, expect, it } from 'vitest';
import { deviceCannot } from '../protocol/failures.ts';
import { jobOfManifest, type JobId } from '../core/ids.ts';
import { verifyLedger } from './credit.ts';
import { sampleManifest } from './sample-manifests.ts';
import type { Lease } from '../protocol/messages.ts';
import { accountNamed, digestNamed, jobOne, peerNamed, submitterAccount, TestHub } from './test-hub.ts';

const units = (count: number, replicas = 1, unitSeconds = 10) =>
  sampleManifest({ units: count, replicas, unitSeconds }, submitterAccount);
const first = (leases: readonly Lease[]): Lease => {
  const lease = leases[0];
  if (lease === undefined) throw new Error('expected a lease');
  return lease;
};

describe('submitting', () => {
  it('asks for what is missing, in messages of at most 256 digests, and starts when all is there', () => {
    const hub = new TestHub().connect('5ub', { role: 'submitter' });
    const missing = Array.from({ length: 300 }, (_, index) => digestNamed(`f${index}`));
    const offer = { job: jobOne, manifest: units(1), signature: '', unixSeconds: 0 };
    hub.input({ type: 'submitted', from: '5ub'.padEnd(32, 'c') as never, ...offer, missing });
    expect(hub.sent('5ub', 'chunks-wanted').map(({ digests }) => digests.length)).toEqual([256, 44]);
    expect(hub.state()).toBeUndefined();
    hub.offer(units(1), jobOne);
    expect(hub.sent('5ub', 'job-state')).toMatchObject([{ state: 'waiting', units: 1 }]);
  });

  it('refuses a manifest of another account, and an expired one, with the mend', () => {
    const hub = new TestHub().connect('5ub', { role: 'submitter' });
    hub.offer(sampleManifest({ units: 1, replicas: 1, unitSeconds: 1 }, accountNamed('e9')), jobOne);
    hub.offer({ ...units(1), expires: 0 }, jobOne);
    expect(hub.sent('5ub', 'refused').map(({ reason }) => reason)).toEqual([
      'a job is submitted by the account that its manifest names',
      'the manifest has expired; sign a new one',
    ]);
    expect(hub.state()).toBeUndefined();
  });

  it('lets only the submitter cancel', () => {
    const hub = new TestHub().submit(units(1)).join('a1');
    hub.say('a1', { type: 'cancel', job: jobOne });
    expect(hub.sent('a1', 'refused')).toHaveLength(1);
    expect(hub.state()?.state).toBe('running');
    hub.say('5ub', { type: 'cancel', job: jobOne });
    expect(hub.state()?.state).toBe('cancelled');
    expect(hub.sent('a1', 'revoke')).toHaveLength(1);
  });
});

describe('one unit', () => {
  it('is lent, returned, accepted, paid and handed to the submitter', () => {
    const hub = new TestHub().submit(units(1)).join('a1');
    const lease = first(hub.leases('a1'));
    expect(lease).toMatchObject({ unit: 0, attempt: 1, seconds: 22, program: 'shader' });
    hub.finish('a1', lease, 'f1');
    expect(hub.sent('a1', 'settled')).toMatchObject([{ unit: 0, attempt: 1, agreed: true, credit: 1 }]);
    expect(hub.sent('5ub', 'unit-accepted')).toMatchObject([{ unit: 0, digest: digestNamed('f1') }]);
    expect(hub.state()).toMatchObject({ state: 'done', accepted: 1, attempts: 1 });
    expect(hub.hub.view().ledger).toMatchObject([{ account: accountNamed('a1'), credit: 1 }]);
  });

  it('is taken only from the peer and as the attempt that it was lent to', () => {
    const hub = new TestHub().submit(units(2)).join('a1').join('a2');
    const lease = first(hub.leases('a1'));
    hub
      .finish('a2', lease, 'f1')
      .finish('a1', { ...lease, attempt: 2 }, 'f1')
      .finish('a1', { ...lease, unit: 7 }, 'f1');
    expect(hub.facts('result')).toHaveLength(0);
    expect(hub.hub.wants(peerNamed('a2'), lease)).toBe(false);
    expect(hub.hub.wants(peerNamed('a1'), { ...lease, attempt: 2 })).toBe(false);
    expect(hub.hub.wants(peerNamed('a1'), lease)).toBe(true);
    hub.finish('a1', lease, 'f1').finish('a1', lease, 'f1');
    expect(hub.facts('result')).toHaveLength(1);
    expect(hub.facts('credited', 'pool')).toHaveLength(1);
  });

  it('goes to another volunteer at once when its own is lost, pauses, fails or is too slow', () => {
    for (const how of ['lost', 'release', 'failed', 'expired'] as const) {
      const hub = new TestHub().submit(units(1)).join('a1');
      const lease = first(hub.leases('a1'));
      hub.join('a2');
      expect(hub.leases('a2')).toEqual([]);
      const { job, unit, attempt } = lease;
      if (how === 'lost') hub.lose('a1');
      if (how === 'release') hub.say('a1', { type: 'release', leases: [{ job, unit, attempt }], reason: 'paused' });
      if (how === 'failed') hub.say('a1', { type: 'failed', job, unit, attempt, reason: 'device lost' });
      if (how === 'expired') hub.pass(lease.seconds + 1);
      expect(hub.leases('a2'), how).toMatchObject([{ unit: 0, attempt: 2 }]);
      expect(hub.facts('ended'), how).toHaveLength(1);
    }
  });

  it('is not taken away while its volunteer reports progress', () => {
    const hub = new TestHub().submit(units(1)).join('a1');
    const { job, unit, attempt, seconds } = first(hub.leases('a1'));
    for (let second = 1; second < 3 * seconds; second++) {
      hub.pass(1).say('a1', { type: 'progress', leases: [{ job, unit, attempt, done: second / (4 * seconds) }] });
    }
    expect(hub.facts('ended')).toHaveLength(0);
    // The same time without progress ends it.
    hub.pass(5 * 4 * seconds);
    expect(hub.facts('ended')).toMatchObject([{ why: 'expired' }]);
  });

  it('fails the job with the reason when it failed on three volunteers, not on two', () => {
    const hub = new TestHub().submit(units(1));
    for (const name of ['a1', 'a2', 'a3']) {
      expect(hub.state()?.state).not.toBe('failed');
      hub.join(name);
      const { job, unit, attempt } = first(hub.leases(name));
      hub.say(name, { type: 'failed', job, unit, attempt, reason: 'wgsl: line 3' });
    }
    expect(hub.state()).toMatchObject({ state: 'failed', reason: 'unit 0 failed on 3 volunteers: wgsl: line 3' });
  });

  it('is lent no more where the device cannot run it, which is not held against the job', () => {
    const hub = new TestHub().submit(units(2));
    for (const name of ['a1', 'a2', 'a3', 'a4']) {
      hub.join(name);
      const { job, unit, attempt } = first(hub.leases(name));
      hub.say(name, { type: 'failed', job, unit, attempt, reason: `${deviceCannot}its loops end by themselves` });
      expect(hub.pull(name, 1).pass(30).leases(name)).toEqual([]);
    }
    expect(hub.state()?.state).toBe('running');
    expect(hub.join('a5').leases('a5')).toHaveLength(1);
  });

  it('is only lent where its buffers fit', () => {
    const hub = new TestHub().submit(units(1)).join('a1', { bindingBytes: 2 });
    expect(hub.leases('a1')).toEqual([]);
    expect(hub.join('a2').leases('a2')).toHaveLength(1);
  });
});

describe('a quorum of two', () => {
  it('never takes two results of one account or one address block; loopback and unknown are no blocks', () => {
    const hub = new TestHub().submit(units(1, 2)).join('a1', { block: '10.0.0.0/24' });
    expect(hub.leases('a1')).toHaveLength(1);
    hub.join('a2', { account: 'a1', block: '10.0.1.0/24' }).join('a3', { block: '10.0.0.0/24' });
    expect([...hub.leases('a2'), ...hub.leases('a3')]).toEqual([]);
    expect(hub.join('a4', { block: '10.0.2.0/24' }).leases('a4')).toHaveLength(1);

    const local = new TestHub()
      .submit(units(1, 2))
      .join('a1', { block: '127.0.0.0/8' })
      .join('a2', { block: '127.0.0.0/8' });
    expect([...local.leases('a1'), ...local.leases('a2')]).toHaveLength(2);
  });

  it('accepts equal digests without comparing, compares others, and deals a third time when they differ', () => {
    const hub = new TestHub().submit(units(1, 2)).join('a1').join('a2').join('a3');
    hub.finish('a1', first(hub.leases('a1')), 'f1').finish('a2', first(hub.leases('a2')), 'f2');
    const [compare] = hub.taken('compare');
    expect(compare).toMatchObject({ unit: 0, a: { attempt: 1 }, b: { attempt: 2 } });
    expect(hub.leases('a3')).toEqual([]);
    hub.input({ type: 'compared', job: jobOne, unit: 0, a: 1, b: 2, agree: false });
    hub.finish('a3', first(hub.leases('a3')), 'f1');
    hub.input({ type: 'compared', job: jobOne, unit: 0, a: 2, b: 3, agree: false });
    expect(hub.facts('accepted')).toMatchObject([{ attempt: 1, honest: [1, 3], dishonest: [2] }]);
    expect(hub.sent('a2', 'settled')).toMatchObject([{ agreed: false, credit: 0 }]);
    expect(hub.facts('credited', 'pool')).toHaveLength(2);
    expect(hub.taken('forget').map(({ digest }) => digest)).toEqual([digestNamed('f2')]);
  });

  it('excludes a liar among five within a job of sixteen units, and accepts nothing of it', () => {
    const names = ['a1', 'a2', 'a3', 'a4', 'a5'];
    const hub = new TestHub().submit(units(16, 2));
    for (const name of names) hub.join(name);
    for (let turn = 0; turn < 200 && hub.state()?.state !== 'done'; turn++) {
      for (const name of names) {
        for (const lease of hub.leases(name)) hub.finish(name, lease, name === 'a5' ? `dead${turn}` : `f${lease.unit}`);
        for (const { unit, a, b } of hub.taken('compare')) {
          hub.input({ type: 'compared', job: jobOne, unit, a: a.attempt, b: b.attempt, agree: a.digest === b.digest });
        }
        hub.pull(name, 1);
      }
      hub.pass(1);
    }
    expect(hub.state()).toMatchObject({ state: 'done', accepted: 16 });
    const liar = hub.hub.view().accounts.find(({ account }) => account === accountNamed('a5'));
    expect(liar).toMatchObject({ excluded: true, credit: 0 });
    expect(hub.sent('a5', 'standing').at(-1)).toMatchObject({ excluded: true });
    expect(hub.hub.view().accounts.filter(({ excluded }) => excluded)).toHaveLength(1);
    expect(verifyLedger(hub.hub.view().ledger)).toEqual({ ok: true, value: 32 });
    const leasesBefore = hub.facts('leased').length;
    hub.pull('a5', 8).pass(5);
    expect(hub.facts('leased')).toHaveLength(leasesBefore);
  });
});

describe('near the end', () => {
  it('lends the slowest outstanding unit a second time to an idle fast volunteer, and withdraws the loser', () => {
    const hub = new TestHub().submit(units(6, 1, 100)).join('a1');
    const slow = first(hub.leases('a1'));
    hub.join('a2');
    for (let count = 0; count < 5; count++) {
      const lease = first(hub.leases('a2'));
      hub.pass(1).finish('a2', lease, `f${lease.unit}`).pull('a2', 1);
    }
    hub.pass(2);
    const copy = first(hub.leases('a2'));
    expect(copy).toMatchObject({ unit: slow.unit, attempt: 2 });
    hub.finish('a2', copy, 'f0');
    expect(hub.sent('a1', 'revoke')).toMatchObject([{ leases: [{ unit: slow.unit, attempt: 1 }] }]);
    expect(hub.state()?.state).toBe('done');
    // The loser's result comes too late to be paid.
    hub.finish('a1', slow, 'f0');
    expect(hub.facts('credited', 'pool')).toHaveLength(6);
  });
});

describe('several submitters', () => {
  it('take turns, whoever submitted more', () => {
    const jobs = ['b1', 'b2', 'b3'].map((name) => jobOfManifest(digestNamed(name)));
    const hub = new TestHub().connect('5ub', { role: 'submitter' }).connect('5ec', { account: 'e1' });
    const [one, two, other] = jobs as [JobId, JobId, JobId];
    hub.offer(units(50), one).offer(units(50), two);
    hub.offer(sampleManifest({ units: 50, replicas: 1, unitSeconds: 1 }, accountNamed('e1')), other, '5ec');
    const counts = new Map<JobId, number>();
    hub.connect('a1').join('a1', { slots: 1 });
    for (let turn = 0; turn < 40; turn++) {
      const lease = first(hub.leases('a1'));
      counts.set(lease.job, (counts.get(lease.job) ?? 0) + 1);
      hub.pass(1).finish('a1', lease, `f${turn}`).pull('a1', 1);
    }
    expect(Object.fromEntries(counts)).toEqual({ [one]: 20, [other]: 20 });
  });
});

describe('following a job', () => {
  it('sends a new watcher what it lacks, a few at a time', () => {
    const hub = new TestHub().submit(units(40)).lose('5ub').join('a1', { slots: 64 });
    for (let turn = 0; turn < 60; turn++) {
      hub.pass(1);
      for (const lease of hub.leases('a1')) hub.finish('a1', lease, `f${lease.unit}`);
      hub.pull('a1', 8);
    }
    expect(hub.state()?.state).toBe('done');
    hub.connect('5ub', { role: 'submitter' }).say('5ub', { type: 'watch', job: jobOne, have: [[0, 10]] });
    const firstUnits = hub.sent('5ub', 'unit-accepted');
    expect(firstUnits).toHaveLength(16);
    for (let count = 0; count < 30; count++) hub.input({ type: 'delivered', peer: '5ub'.padEnd(32, 'c') as never });
    const all = [...firstUnits, ...hub.sent('5ub', 'unit-accepted')].map(({ unit }) => unit).toSorted((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 30 }, (_, index) => index + 10));
  });
});

describe('a hub that dies', () => {
  for (const compact of [false, true]) {
    const how = compact ? 'from snapshots' : 'from its log';
    it(`comes back ${how}: nothing accepted runs again, nothing is paid twice, the rest is dealt again`, () => {
      const hub = new TestHub().submit(units(3, 2)).join('a1', { slots: 1 }).join('a2', { slots: 1 });
      hub.finish('a1', first(hub.leases('a1')), 'f0').finish('a2', first(hub.leases('a2')), 'f0');
      hub.pull('a1', 1).pull('a2', 1);
      const open = first(hub.leases('a1'));
      const before = hub.hub.view().ledger.length;
      hub.restart(compact).join('a2', { slots: 3 }).pass(1);
      expect(hub.leases('a2').map(({ unit }) => unit)).not.toContain(0);
      expect(hub.hub.view().ledger).toHaveLength(before);
      // The volunteer comes back with the result of the attempt that the crash voided.
      hub.connect('a1').finish('a1', open, 'f1');
      expect(hub.facts('result').at(-1)).toMatchObject({ unit: open.unit, attempt: open.attempt });
    });
  }

  it('gives the same state from the log as it had, save for the leases that are void', () => {
    const hub = new TestHub().submit(units(3, 2)).join('a1').join('a2');
    hub.finish('a1', first(hub.leases('a1')), 'f0').finish('a2', first(hub.leases('a2')), 'f0');
    const before = hub.hub.streams().map((stream) => hub.hub.snapshot(stream));
    hub.restart();
    expect(hub.hub.streams().map((stream) => hub.hub.snapshot(stream))).toEqual(before);
  });

  it('asks again for a comparison that was under way', () => {
    const hub = new TestHub().submit(units(1, 2)).join('a1').join('a2');
    hub.finish('a1', first(hub.leases('a1')), 'f1').finish('a2', first(hub.leases('a2')), 'f2');
    expect(hub.restart().taken('compare')).toMatchObject([{ unit: 0, a: { attempt: 1 }, b: { attempt: 2 } }]);
  });

  it('lets a volunteer that is still at it go on, unless somebody else has the unit by now', () => {
    const hub = new TestHub().submit(units(1)).join('a1');
    const { job, unit, attempt } = first(hub.leases('a1'));
    const progress = { type: 'progress', leases: [{ job, unit, attempt, done: 0.5 }] } as const;
    hub
      .restart()
      .connect('a1')
      .say('a1', { ...progress, leases: [...progress.leases] });
    expect(hub.facts('resumed')).toHaveLength(1);
    hub
      .restart()
      .join('a2')
      .connect('a1')
      .say('a1', { ...progress, leases: [...progress.leases] });
    expect(hub.leases('a2')).toHaveLength(1);
    expect(hub.sent('a1', 'revoke')).toHaveLength(1);
  });
});

it('a hub that shuts down lends nothing more and still takes results', () => {
  const hub = new TestHub().submit(units(2)).join('a1');
  const lease = first(hub.leases('a1'));
  hub.input({ type: 'shutdown' }).finish('a1', lease, 'f0').pull('a1', 1).pass(3);
  expect(hub.leases('a1')).toEqual([]);
  expect(hub.state()?.accepted).toBe(1);
});
