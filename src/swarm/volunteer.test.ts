import { describe, expect, it } from 'vitest';
import type { Lease, Message, MessageOf } from '../protocol/messages.ts';
import { accountNamed, digestNamed, jobOne } from './test-hub.ts';
import { createVolunteer, type VolunteerEffect, type VolunteerInput } from './volunteer.ts';

const device = { deviceClass: 'test', fallback: false, features: [], bindingBytesMax: 1, bufferBytesMax: 1 };
const lease = (unit: number, programVersion = 1): Lease => ({
  job: jobOne,
  unit,
  attempt: 1,
  seconds: 30,
  program: 'shader',
  programVersion,
  submitter: accountNamed('e'),
  signature: '',
});

class Tab {
  now = 0;
  readonly machine = createVolunteer({ device, programVersion: 1 });
  effects: VolunteerEffect[] = [];

  give(input: VolunteerInput): this {
    this.effects.push(...this.machine.receive(input, this.now));
    return this;
  }

  hear(message: Message): this {
    return this.give({ type: 'message', message });
  }

  lend(...leases: Lease[]): this {
    return this.hear({ type: 'lease', leases });
  }

  take<Type extends VolunteerEffect['type']>(type: Type): Extract<VolunteerEffect, { type: Type }>[] {
    const isWanted = (effect: VolunteerEffect): effect is Extract<VolunteerEffect, { type: Type }> =>
      effect.type === type;
    const found = this.effects.filter(isWanted);
    this.effects = this.effects.filter((effect) => !isWanted(effect));
    return found;
  }

  sent(): Message[] {
    return this.take('send').map(({ message }) => message);
  }

  computed(unit: number, seconds = 1): this {
    return this.give({ type: 'computed', lease: lease(unit), digest: digestNamed(`f${unit}`), seconds });
  }
}

const working = () => {
  const tab = new Tab().give({ type: 'start' }).give({ type: 'linked' }).lend(lease(0), lease(1));
  tab.effects = tab.effects.filter(({ type }) => type !== 'send');
  return tab;
};

describe('a volunteer', () => {
  it('says what it is and asks for work once it is both started and linked', () => {
    const tab = new Tab().give({ type: 'linked' });
    expect(tab.sent()).toEqual([]);
    expect(
      tab
        .give({ type: 'start' })
        .sent()
        .map(({ type }) => type),
    ).toEqual(['ready', 'pull']);
  });

  it('tells the hub of a device that has become smaller, now or with the next link', () => {
    const smaller = { ...device, bufferBytesMax: 0 };
    const tab = working().give({ type: 'device', device: smaller });
    expect(tab.sent()).toEqual([{ type: 'ready', device: smaller, speeds: {} }]);
    const apart = working().give({ type: 'unlinked' }).give({ type: 'device', device: smaller });
    expect(apart.sent()).toEqual([]);
    expect(apart.give({ type: 'linked' }).sent()).toContainEqual({ type: 'ready', device: smaller, speeds: {} });
  });

  it('runs one unit at a time, delivers it and goes on with the next', () => {
    const tab = working();
    expect(tab.take('compute').map((effect) => effect.lease.unit)).toEqual([0]);
    tab.computed(0);
    expect(tab.take('deliver').map((effect) => effect.lease.unit)).toEqual([0]);
    expect(tab.take('compute').map((effect) => effect.lease.unit)).toEqual([1]);
    expect(tab.sent()).toEqual([{ type: 'pull', slots: 1 }]);
    expect(tab.machine.view()).toMatchObject({ state: 'computing', unit: 1, computed: 1, speeds: { shader: 1 } });
  });

  it('asks for more ahead when units are short', () => {
    const tab = working().computed(0, 0.05);
    expect(tab.sent().at(-1)).toEqual({ type: 'pull', slots: 20 });
  });

  it('gives everything back at once when paused, and asks again on resume', () => {
    const tab = working().give({ type: 'pause', reason: 'paused' });
    expect(tab.take('abort')).toHaveLength(1);
    expect(tab.sent()).toMatchObject([{ type: 'release', reason: 'paused', leases: [{ unit: 0 }, { unit: 1 }] }]);
    // What the worker may still say of it is not delivered.
    expect(tab.computed(0).take('deliver')).toEqual([]);
    expect(tab.take('drop')).toHaveLength(1);
    // A lease that crossed the release goes back too.
    expect(tab.lend(lease(2)).sent()).toMatchObject([{ type: 'release', leases: [{ unit: 2 }] }]);
    expect(tab.give({ type: 'resume' }).sent()).toEqual([{ type: 'pull', slots: 2 }]);
  });

  it('keeps computing without a link, then says what it holds and delivers what is not settled', () => {
    const tab = working().computed(0).give({ type: 'unlinked' });
    tab.effects = [];
    expect(tab.computed(1).take('deliver')).toEqual([]);
    tab.lend(lease(2)).sent();
    tab.give({ type: 'linked' });
    expect(tab.take('deliver').map((effect) => effect.lease.unit)).toEqual([0, 1]);
    const messages = tab.sent();
    expect(messages.map(({ type }) => type)).toEqual(['ready', 'progress', 'pull']);
    expect((messages[1] as MessageOf<'progress'>).leases).toMatchObject([{ unit: 2 }]);
  });

  it('forgets a result once it is settled', () => {
    const tab = working()
      .computed(0)
      .hear({ type: 'settled', job: jobOne, unit: 0, attempt: 1, agreed: true, credit: 1 });
    expect(tab.take('drop').map((effect) => effect.lease.unit)).toEqual([0]);
    tab.effects = [];
    expect(tab.give({ type: 'unlinked' }).give({ type: 'linked' }).take('deliver')).toEqual([]);
    expect(tab.machine.view()).toMatchObject({ agreed: 1, disagreed: 0 });
  });

  it('keeps a bounded number of unsettled results', () => {
    const tab = new Tab().give({ type: 'start' }).give({ type: 'linked' });
    for (let unit = 0; unit < 12; unit++) tab.lend(lease(unit)).computed(unit);
    expect(tab.take('drop').map((effect) => effect.lease.unit)).toEqual([0, 1, 2, 3]);
  });

  it('drops what is withdrawn and starts the next', () => {
    const tab = working();
    tab.take('compute');
    tab.hear({ type: 'revoke', leases: [{ job: jobOne, unit: 0, attempt: 1 }] });
    expect(tab.take('abort')).toHaveLength(1);
    expect(tab.take('compute').map((effect) => effect.lease.unit)).toEqual([1]);
  });

  it('reports a failure with its reason', () => {
    const tab = working().give({ type: 'compute-failed', lease: lease(0), reason: 'device lost' });
    expect(tab.sent()[0]).toMatchObject({ type: 'failed', unit: 0, attempt: 1, reason: 'device lost' });
  });

  it('refuses a lease of other programs and says that it is outdated', () => {
    const tab = new Tab().give({ type: 'start' }).give({ type: 'linked' });
    tab.sent();
    tab.lend(lease(0, 2));
    expect(tab.take('compute')).toEqual([]);
    expect(tab.sent()).toMatchObject([{ type: 'release', reason: 'refused' }]);
    expect(tab.take('outdated').map(({ reason }) => reason)).toEqual([
      'the hub asks for programs of version 2, this tab has 1',
    ]);
  });

  it('stops for good when its account is excluded', () => {
    const standing = { type: 'standing', agreed: 0, disagreed: 2, credit: 0, excluded: true } as const;
    const tab = working().hear(standing);
    expect(tab.take('abort')).toHaveLength(1);
    expect(tab.machine.view().state).toBe('excluded');
    expect(
      tab
        .lend(lease(5))
        .take('compute')
        .map((effect) => effect.lease.unit),
    ).toEqual([0]);
  });

  it('sends a heartbeat with progress, not more often than once a second', () => {
    const tab = working().give({ type: 'computing', lease: lease(0), done: 0.25 });
    const beat = (now: number) =>
      tab.machine.tick(now).flatMap((effect) => (effect.type === 'send' ? [effect.message] : []));
    expect(beat(1_000)).toMatchObject([
      {
        type: 'progress',
        leases: [
          { unit: 0, done: 0.25 },
          { unit: 1, done: 0 },
        ],
      },
    ]);
    expect(beat(1_500)).toEqual([]);
  });
});
