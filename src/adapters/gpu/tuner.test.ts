/**
 * The tuner on a device of paper: time is what the test says that each variant costs, so nothing here depends on luck.
 * The operation is y = 2x; variants differ in cost, and one is wrong. Real devices are judged by `tabswarm doctor
 * --tuner-check`.
 */

import { describe, expect, test } from 'vitest';
import { present } from '../../core/assert.ts';
import { copyBytes } from '../../core/bytes.ts';
import { DeviceError, type Device, type DeviceBuffer } from '../../kernels/device.ts';
import { normals, toF64 } from '../../kernels/test-case.ts';
import { safeChoices, type Family, type Variant } from '../../kernels/variants.ts';
import { shaderDigest, type WinnerStore } from '../../kernels/winners.ts';
import { createMemoryWinners } from '../store/memory-winners.ts';
import { createTuner, fastestOf } from './tuner.ts';

const wgslOf = (variant: string): string => `// doubles, ${variant}`;

const double: Family = {
  name: 'double',
  bound: 'bytes',
  shown: ['count:16'],
  variants: [
    { name: 'plain', features: [] },
    { name: 'wide', features: [] },
    { name: 'half', features: ['shader-f16'] },
    { name: 'odd', features: [] },
  ],
  trial(bucket, random) {
    const x = normals(random, 16);
    return {
      work: 128,
      caseOf: (variant) => ({
        kernel: 'double',
        title: bucket,
        tensors: { x, y: new Float32Array(16) },
        dispatches: (of) => [
          {
            pipeline: { label: variant, wgsl: wgslOf(variant), entryPoint: 'main' },
            bindings: [
              { binding: 0, uniform: Uint8Array.of(of('x').offset ?? 0, of('y').offset ?? 0) },
              { binding: 1, buffer: of('x').buffer, access: 'read' },
              { binding: 2, buffer: of('y').buffer, access: 'write' },
            ],
            grid: [1, 1, 1],
          },
        ],
        expected: { y: toF64(x).map((value) => 2 * value) },
        tolerance: { absolute: 0, relative: 0, reason: 'doubling is exact' },
      }),
    };
  },
};

interface Paper {
  /** Milliseconds of a run, by variant. */
  readonly costs: Record<string, number>;
  /** What a variant computes instead. */
  readonly wrong?: Record<string, (x: number) => number>;
  readonly features?: readonly string[];
  readonly failing?: (variant: string) => Error | undefined;
  /** The browser sees only at multiples of this that work is done. */
  readonly grainMs?: number;
}

function paperDevice({ costs, wrong = {}, features = [], failing = () => undefined, grainMs = 0 }: Paper) {
  const memory = new Map<DeviceBuffer, Uint8Array>();
  const runs: string[] = [];
  let busy = 0;
  let lost: Error | undefined;
  const bytesOf = (buffer: DeviceBuffer): Uint8Array => present(memory.get(buffer), `no buffer ${buffer.label}`);
  const floatsOf = (buffer: DeviceBuffer): Float32Array => new Float32Array(bytesOf(buffer).buffer);
  const device: Device = {
    limits: {
      bindingBytesMax: 2 ** 27,
      bufferBytesMax: 2 ** 28,
      workgroupsPerDimensionMax: 65535,
      storageBindingsMax: 8,
      workgroupInvocationsMax: 256,
      workgroupBytesMax: 16384,
      memoryBytesMax: 2 ** 30,
    },
    features: new Set(features),
    choices: safeChoices,
    createBuffer: (label, bytes) => {
      const buffer = { label, bytes };
      memory.set(buffer, new Uint8Array(bytes));
      return buffer;
    },
    write: (buffer, bytes, start = 0) => bytesOf(buffer).set(bytes, start),
    clear: (buffer) => void bytesOf(buffer).fill(0),
    copy: () => undefined,
    prepare: async () => undefined,
    run: async (dispatches) => {
      for (const { pipeline, bindings } of dispatches) {
        const variant = pipeline.label;
        const error = failing(variant);
        if (error?.message.includes('lost')) lost = error;
        if (error !== undefined) throw error;
        runs.push(variant);
        busy += present(costs[variant], `no cost of ${variant}`);
        const [offsets, x, y] = bindings;
        if (!offsets || !('uniform' in offsets) || !x || !('buffer' in x) || !y || !('buffer' in y)) continue;
        const compute = wrong[variant] ?? ((value: number) => 2 * value);
        for (let index = 0; index < 16; index++) {
          floatsOf(y.buffer)[(offsets.uniform[1] ?? 0) + index] = compute(
            floatsOf(x.buffer)[(offsets.uniform[0] ?? 0) + index] ?? 0,
          );
        }
      }
    },
    flush: async () => {
      if (lost !== undefined) throw lost;
      if (grainMs > 0) busy = Math.ceil(busy / grainMs) * grainMs;
    },
    read: async (buffer) => copyBytes(bytesOf(buffer)),
    free: (buffer) => void memory.delete(buffer),
    usage: () => ({ buffers: memory.size, bytes: 0 }),
  };
  return { device, runs, busyMs: () => busy, costs };
}

const shaders = new Set(double.variants.map(({ name }) => shaderDigest(wgslOf(name))));

async function world(paper: Paper, store: WinnerStore = createMemoryWinners(), adapterKey = 'one') {
  const reports: string[] = [];
  const { device, runs, busyMs } = paperDevice(paper);
  const report = (line: string): void => void reports.push(line);
  const tuner = await createTuner({ device, busyMs, families: [double], store, adapterKey, shaders, report });
  return { tuner, reports, runs, busyMs, device, store };
}

const costs = { plain: 4, wide: 2, half: 1, odd: 3 };
const tuneAll = async ({ tuner }: { tuner: Awaited<ReturnType<typeof createTuner>> }): Promise<void> => {
  while (await tuner.tuneNext(100));
};

describe('choosing', () => {
  test('gives the safe variant first, tunes that wish when told to, and then gives the fastest', async () => {
    const own = await world({ costs });
    expect(own.tuner.variantOf(double, 'count:16')).toBe('plain');
    expect(own.runs).toEqual([]);
    await tuneAll(own);
    expect(own.tuner.variantOf(double, 'count:16')).toBe('wide');
    expect(own.tuner.variantOf(double, 'count:32')).toBe('plain');
    expect(own.device.usage().buffers).toBe(0);
    expect(own.reports).toEqual([]);
  });

  test('tries only what this device can run', async () => {
    const with16 = await world({ costs, features: ['shader-f16'] });
    with16.tuner.variantOf(double, 'count:16');
    await tuneAll(with16);
    expect(with16.tuner.variantOf(double, 'count:16')).toBe('half');
    const without = await world({ costs });
    without.tuner.variantOf(double, 'count:16');
    await tuneAll(without);
    expect(without.runs).not.toContain('half');
  });

  test('does nothing where nobody asked', async () => {
    const own = await world({ costs });
    expect(await own.tuner.tuneNext(1000)).toBe(false);
    expect(own.runs).toEqual([]);
  });

  test('runs each as often as it takes to see past a browser that looks rarely', async () => {
    const rare = { costs: { plain: 1.6, wide: 0.9, odd: 4.4 }, grainMs: 5 };
    const picked = async (told: number): Promise<string> => {
      const { device, busyMs } = paperDevice(rare);
      const parts = { families: [double], store: createMemoryWinners(), adapterKey: 'one', shaders };
      const tuner = await createTuner({ device, busyMs, grainMs: told, ...parts });
      await tuner.tune(double, 'count:16');
      return tuner.variantOf(double, 'count:16');
    };
    expect(await picked(5)).toBe('wide');
    // Who does not know of it sees every run take as long.
    expect(await picked(0)).toBe('plain');
  });

  test('stays with the safe variant when leaving it gains next to nothing', () => {
    const timed = (ms: number) => [
      { variant: 'plain', ms: 1 },
      { variant: 'wide', ms },
    ];
    expect(fastestOf(timed(0.98), 'plain')).toBe('plain');
    expect(fastestOf(timed(0.9), 'plain')).toBe('wide');
  });
});

describe('leaving out', () => {
  const withOdd = (odd: Partial<Variant>): Family => ({
    ...double,
    variants: double.variants.map((variant) => (variant.name === 'odd' ? { ...variant, ...odd } : variant)),
  });
  const tunedRuns = async (paper: Paper, family: Family, bucket: string): Promise<readonly string[]> => {
    const { device, runs, busyMs } = paperDevice(paper);
    const parts = { store: createMemoryWinners(), adapterKey: 'one', shaders };
    const tuner = await createTuner({ device, busyMs, families: [family], ...parts });
    expect(await tuner.tune(family, bucket)).toBeDefined();
    // What was left out is settled: nobody wishes for it again.
    tuner.variantOf(family, bucket);
    expect(await tuner.tuneNext(1)).toBe(false);
    return runs;
  };

  test('a variant that does not serve the bucket is not tried there, and is elsewhere', async () => {
    const family = withOdd({ serves: (bucket) => bucket !== 'count:16' });
    expect(await tunedRuns({ costs }, family, 'count:16')).not.toContain('odd');
    expect(await tunedRuns({ costs }, family, 'count:32')).toContain('odd');
  });

  test('a variant that follows one far behind is not even compiled, and one that follows a good one is timed', async () => {
    const family = withOdd({ follows: 'half' });
    const features = ['shader-f16'];
    expect(await tunedRuns({ costs: { ...costs, half: 50 }, features }, family, 'count:16')).not.toContain('odd');
    expect(await tunedRuns({ costs: { ...costs, half: 3 }, features }, family, 'count:16')).toContain('odd');
    expect(await tunedRuns({ costs }, family, 'count:16')).toContain('odd');
  });
});

describe('a variant that is wrong', () => {
  test.each([
    ['a little off', (x: number) => 2.001 * x, /^kernel double, variant 'odd' \(count:16\) is wrong here: y\[0\] is/],
    ['no number', () => NaN, /y\[0\] is NaN/],
  ])('%s, is dropped and reported although it is the fastest', async (_, compute, line) => {
    const own = await world({ costs: { ...costs, odd: 0.1 }, wrong: { odd: compute } });
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    expect(own.tuner.variantOf(double, 'count:16')).toBe('wide');
    expect(own.reports).toHaveLength(1);
    expect(own.reports[0]).toMatch(line);
    expect(own.tuner.dropped()).toMatchObject([{ family: 'double', bucket: 'count:16', variant: 'odd' }]);
    // Never timed: its check is its only run.
    expect(own.runs.filter((variant) => variant === 'odd')).toHaveLength(1);
    const right = await world({ costs: { ...costs, odd: 0.1 } });
    right.tuner.variantOf(double, 'count:16');
    await tuneAll(right);
    expect(right.tuner.variantOf(double, 'count:16')).toBe('odd');
  });

  test('that does not compile is dropped; the report outlives the session', async () => {
    const failing = (variant: string) => (variant === 'wide' ? new DeviceError('wide:3:1 no such type') : undefined);
    const own = await world({ costs, failing });
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    expect(own.tuner.variantOf(double, 'count:16')).toBe('odd');
    const later = await world({ costs }, own.store);
    expect(later.tuner.dropped()).toMatchObject([{ variant: 'wide', problem: 'wide:3:1 no such type' }]);
    expect(later.reports).toHaveLength(1);
  });

  test('is not blamed for a lost device, and nothing is kept', async () => {
    const failing = (variant: string) => (variant === 'wide' ? new DeviceError('the device was lost') : undefined);
    const own = await world({ costs, failing });
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    expect(own.tuner.dropped()).toEqual([]);
    expect(await own.store.load('one')).toEqual([]);
    expect(own.reports).toEqual(['kernel double: tuning ended: the device was lost']);
  });

  test('and is the safe one, leaves no winner', async () => {
    const own = await world({ costs, wrong: { plain: () => 0 } });
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    expect(own.tuner.winners()).toEqual([]);
    expect(own.tuner.dropped()).toMatchObject([{ variant: 'plain' }]);
    // It is not tried again and again.
    expect(own.tuner.variantOf(double, 'count:16')).toBe('plain');
    expect(await own.tuner.tuneNext(1)).toBe(false);
  });
});

describe('time', () => {
  test('a family costs at most its allowance, however many buckets and however slow', async () => {
    for (const factor of [1, 10, 60]) {
      const slow = Object.fromEntries(Object.entries(costs).map(([name, ms]) => [name, ms * factor]));
      const own = await world({ costs: slow });
      for (const size of [16, 32, 64, 128, 256]) own.tuner.variantOf(double, `count:${size}`);
      await tuneAll(own);
      // What is under way then, and a check of the safe variant to compare with, may pass it.
      expect(own.busyMs()).toBeLessThanOrEqual(1_500 + 4 * 4 * factor);
      expect(own.tuner.variantOf(double, 'count:16')).toBe('wide');
    }
  });

  test('a safe variant that alone takes all of it does not keep the others from winning', async () => {
    const own = await world({ costs: { ...costs, plain: 3_000 } });
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    expect(own.tuner.variantOf(double, 'count:16')).toBe('wide');
    // One run of it, as the work that waits would have run it too.
    expect(own.runs.filter((variant) => variant === 'plain')).toHaveLength(1);
  });

  test('that did not suffice is enough after some sessions: each goes on where the last one ended', async () => {
    const store = createMemoryWinners();
    const slow = { plain: 1_600, wide: 900, half: 1, odd: 800 };
    const picks: string[] = [];
    for (let session = 0; session < 3; session++) {
      const own = await world({ costs: slow, features: ['shader-f16'] }, store);
      picks.push(own.tuner.variantOf(double, 'count:16'));
      await tuneAll(own);
    }
    picks.push((await world({ costs: slow, features: ['shader-f16'] }, store)).tuner.variantOf(double, 'count:16'));
    expect(picks).toEqual(['plain', 'wide', 'half', 'half']);
  });

  test('that a variant lost to a disturbance in its first sample is given again', async () => {
    // Its check, its first sample, and from then on what it really takes.
    const disturbed = [2, 9];
    const wide = (): number => disturbed.shift() ?? 2;
    const own = await world({
      costs: {
        plain: 4,
        odd: 3,
        half: 1,
        get wide() {
          return wide();
        },
      },
    });
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    expect(own.tuner.variantOf(double, 'count:16')).toBe('wide');
    const slow = await world({ costs: { ...costs, wide: 9 } });
    slow.tuner.variantOf(double, 'count:16');
    await tuneAll(slow);
    expect(slow.tuner.variantOf(double, 'count:16')).toBe('odd');
  });

  test('goes to those who are close: others race three turns, and two who are close race seven', async () => {
    const runsOf = async (ms: Record<string, number>): Promise<readonly number[]> => {
      const own = await world({ costs: ms });
      own.tuner.variantOf(double, 'count:16');
      await tuneAll(own);
      return ['plain', 'wide', 'odd'].map((name) => own.runs.filter((run) => run === name).length);
    };
    // A check, a first sample, and the turns.
    expect(await runsOf({ plain: 14, wide: 8, odd: 9 })).toEqual([5, 9, 9]);
    expect(await runsOf({ plain: 14, wide: 8, odd: 15 })).toEqual([5, 5, 5]);
  });

  test('comes in slices: a call ends soon after its budget, and the next goes on', async () => {
    const own = await world({ costs });
    own.tuner.variantOf(double, 'count:16');
    let slices = 0;
    for (let before = 0; await own.tuner.tuneNext(10); before = own.busyMs()) {
      slices++;
      expect(own.busyMs() - before).toBeLessThan(10 + 2 * 4);
    }
    expect(slices).toBeGreaterThan(3);
    expect(own.tuner.winners()).toHaveLength(1);
  });
});

describe('records', () => {
  const tuned = async (): Promise<WinnerStore> => {
    const own = await world({ costs });
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    return own.store;
  };

  test('are used in the next session without running anything, on the same adapter only', async () => {
    const store = await tuned();
    const later = await world({ costs }, store);
    expect(later.tuner.variantOf(double, 'count:16')).toBe('wide');
    expect(later.runs).toEqual([]);
    expect((await world({ costs }, store, 'two')).tuner.variantOf(double, 'count:16')).toBe('plain');
  });

  test.each([
    ['is no record', () => 'nonsense'],
    ['lacks a field', (record: Record<string, unknown>) => ({ ...record, work: undefined })],
    ['names a variant that was never timed', (record: Record<string, unknown>) => ({ ...record, variant: 'half' })],
    ['names an unknown family', (record: Record<string, unknown>) => ({ ...record, family: 'treble' })],
    ['knew other variants', (record: Record<string, unknown>) => ({ ...record, variants: ['plain', 'wide'] })],
    [
      'timed a shader of another version',
      (record: Record<string, unknown>) => ({ ...record, shaders: ['0'.repeat(64)] }),
    ],
  ])('one that %s is ignored, and the bucket is tuned anew', async (_, spoil) => {
    const store = await tuned();
    const spoilt: WinnerStore = {
      ...store,
      load: async (adapter) => (await store.load(adapter)).map((one) => spoil(one as Record<string, unknown>)),
    };
    const later = await world({ costs }, spoilt);
    expect(later.tuner.variantOf(double, 'count:16')).toBe('plain');
    await tuneAll(later);
    expect(later.tuner.variantOf(double, 'count:16')).toBe('wide');
  });

  test('a store that fails costs only the memory of it', async () => {
    const failing: WinnerStore = {
      load: () => Promise.reject(new Error('no disk')),
      save: () => Promise.reject(new Error('no disk')),
    };
    const own = await world({ costs }, failing);
    own.tuner.variantOf(double, 'count:16');
    await tuneAll(own);
    expect(own.tuner.variantOf(double, 'count:16')).toBe('wide');
    expect(own.reports).toEqual(['winners: not read: no disk', 'winners: not kept: no disk']);
  });
});
