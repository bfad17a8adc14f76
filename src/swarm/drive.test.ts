import { describe, expect, it } from 'vitest';
import { createDrive, createEffectLoop } from './drive.ts';
import type { FactRecord } from './step.ts';

const record = (name: string): FactRecord => ({ stream: 'test', fact: name });

function gate() {
  const opens: (() => void)[] = [];
  const committed: string[][] = [];
  return {
    committed,
    commit: async (records: readonly FactRecord[]): Promise<void> => {
      await new Promise<void>((resolve) => opens.push(resolve));
      committed.push(records.map((one) => String(one.fact)));
    },
    open: () => opens.shift()?.(),
  };
}

describe('the drive', () => {
  it('performs no effect before the records of its step are committed', async () => {
    const log = gate();
    const performed: string[] = [];
    const drive = createDrive<string>({
      commit: log.commit,
      perform: (effect) => performed.push(effect),
      failed: () => {},
    });
    drive.take({ records: [record('a')], effects: ['after a'] });
    await Promise.resolve();
    expect(performed).toEqual([]);
    log.open();
    await drive.settled();
    expect(performed).toEqual(['after a']);
  });

  it('groups what arrives while a commit is under way, and keeps the order of effects', async () => {
    const log = gate();
    const performed: string[] = [];
    const drive = createDrive<string>({
      commit: log.commit,
      perform: (effect) => performed.push(effect),
      failed: () => {},
    });
    drive.take({ records: [record('a')], effects: ['1'] });
    drive.take({ records: [record('b')], effects: ['2'] });
    drive.take({ effects: ['3'] });
    drive.take({ records: [record('c')], effects: ['4'] });
    log.open();
    await new Promise((resolve) => setTimeout(resolve));
    log.open();
    await drive.settled();
    expect(log.committed).toEqual([['a'], ['b', 'c']]);
    expect(performed).toEqual(['1', '2', '3', '4']);
  });

  it('loses no step that comes in the very turn in which it runs dry, and lets none overtake it', async () => {
    const performed: string[] = [];
    const drive = createDrive<string>({
      commit: () => Promise.resolve(),
      perform: (effect) => {
        performed.push(effect);
        if (effect !== '1') return;
        // The next microtask: the drive has nothing left, and has not said so yet.
        void Promise.resolve().then(() => {
          drive.take({ records: [record('b')], effects: ['2'] });
          void Promise.resolve().then(() => drive.take({ effects: ['3'] }));
        });
      },
      failed: () => {},
    });
    drive.take({ records: [record('a')], effects: ['1'] });
    await drive.settled();
    await new Promise((resolve) => setTimeout(resolve));
    expect(performed).toEqual(['1', '2', '3']);
  });

  it('stops at a failed commit and performs nothing after it', async () => {
    const performed: string[] = [];
    const errors: string[] = [];
    const drive = createDrive<string>({
      commit: () => Promise.reject(new Error('disk full')),
      perform: (effect) => performed.push(effect),
      failed: (error) => errors.push(error.message),
    });
    drive.take({ records: [record('a')], effects: ['1'] });
    await drive.settled();
    drive.take({ effects: ['2'] });
    expect(performed).toEqual([]);
    expect(errors).toEqual(['disk full']);
  });
});

describe('the loop alone', () => {
  it('performs what an effect brings about after the effects before it', () => {
    const performed: string[] = [];
    const perform = createEffectLoop<string>((effect) => {
      performed.push(effect);
      if (effect === 'first') perform(['brought about']);
    });
    perform(['first', 'second']);
    expect(performed).toEqual(['first', 'second', 'brought about']);
  });

  it('goes on after an effect that throws', () => {
    const performed: string[] = [];
    const perform = createEffectLoop<string>((effect) => {
      if (effect === 'bad') throw new Error('bad effect');
      performed.push(effect);
    });
    expect(() => perform(['bad', 'next'])).toThrow('bad effect');
    perform(['later']);
    expect(performed).toEqual(['next', 'later']);
  });
});
