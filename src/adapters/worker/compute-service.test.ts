/** The compute worker's service with a device and programs that compute nothing but tell what happens to them. */

import { describe, expect, test } from 'vitest';
import type { JobId } from '../../core/ids.ts';
import { DeviceError, type Device } from '../../kernels/device.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { OpenProgramFunction } from '../../programs/program.ts';
import type { ComputeHost, UnitCall } from './compute-api.ts';
import { createComputeService, type ServiceDevice } from './compute-service.ts';
import { lie } from './lie.ts';

const job = (name: string): JobId => name.padEnd(64, '0') as JobId;
const host: ComputeHost = {
  readRange: async (call, _artifact, start, end) => Uint8Array.of(call, start, end),
  progress: async () => undefined,
  stageSays: async () => undefined,
  inspecting: async () => undefined,
  warn: async () => undefined,
  deviceChanged: async () => undefined,
};
const empty = { bytes: 9, chunks: [] };
const manifest: Manifest = {
  version: 1,
  name: 'test',
  nonce: '0'.repeat(32),
  submitter: '0'.repeat(64) as Manifest['submitter'],
  expires: 0,
  price: 1,
  units: 10,
  verify: { replicas: 1, absolute: 0, relative: 0 },
  limits: { unitSeconds: 1 },
  program: 'shader',
  shader: { wgsl: empty, constants: {}, buffers: [], steps: [], loop: 1 },
};

function world(lying = false, programs?: Record<string, OpenProgramFunction>, fallback = true) {
  const log: string[] = [];
  const losses: (() => void)[] = [];
  let call = 1;
  /** Programs that do not fit while another is open. */
  const large = new Set<string>();
  let openPrograms = 0;
  const openDevice = async ({ workScale }: { readonly workScale: number }): Promise<ServiceDevice> => {
    log.push(workScale === 1 ? 'device' : `device at ${workScale}`);
    let isLost = false;
    const lost = new Promise<string>((resolve) =>
      losses.push(() => {
        isLost = true;
        resolve('gone');
      }),
    );
    const device: Partial<Device> = { usage: () => ({ buffers: 0, bytes: 0 }) };
    return {
      device: device as Device,
      description: {
        deviceClass: 'test',
        fallback,
        features: [],
        bindingBytesMax: 8 * workScale,
        bufferBytesMax: 8 * workScale,
      },
      setDuty: (duty) => log.push(`duty ${duty}`),
      busyMs: () => 0,
      lost,
      isLost: () => isLost,
      tuneNext: async () => {
        log.push('tunes');
        return false;
      },
      close: () => undefined,
    };
  };
  const program: OpenProgramFunction = async ({ name }, _device, chunks) => {
    if (large.has(name) && openPrograms > 0) throw new DeviceError(`${name} does not fit`);
    openPrograms++;
    log.push(`open ${name}`);
    return {
      async run({ unit, signal }) {
        log.push(`${name}/${unit} begins`);
        const bytes = await chunks.readRange(empty, 0, unit);
        await new Promise((resolve) => setImmediate(resolve));
        if (signal.aborted) throw new Error('aborted inside');
        log.push(`${name}/${unit} ends`);
        return bytes;
      },
      close() {
        openPrograms--;
        log.push(`close ${name}`);
      },
    };
  };
  const service = createComputeService({
    openDevice,
    programs: programs ?? { shader: program },
    clock: { now: () => 0, after: () => () => undefined },
    ...(lying ? { lie } : {}),
  });
  const unit = (name: string, index: number): UnitCall => ({
    call: call++,
    job: job(name),
    unit: index,
    manifest: { ...manifest, name },
  });
  return { log, losses, large, service, unit };
}

describe('the compute service', () => {
  test('runs units one after another, opens each job once, and reads chunks in the name of the right call', async () => {
    const { log, service, unit } = world();
    await service.open(host, { duty: 0.5 });
    const results = await Promise.all([service.runUnit(unit('a', 3)), service.runUnit(unit('a', 4))]);
    expect(results.map((bytes) => [...bytes])).toEqual([
      [1, 0, 3],
      [2, 0, 4],
    ]);
    expect(log).toEqual(['device', 'duty 0.5', 'open a', 'a/3 begins', 'a/3 ends', 'a/4 begins', 'a/4 ends']);
  });

  test('closes the job that was used longest ago when a fifth comes', async () => {
    const { log, service, unit } = world();
    await service.open(host, {});
    for (const name of ['a', 'b', 'c', 'd', 'a', 'e']) await service.runUnit(unit(name, 0));
    expect(log.filter((line) => line.startsWith('close'))).toEqual(['close b']);
    expect((await service.usage()).openPrograms).toBe(4);
  });

  test('makes room for a job that does not fit beside others, and tells when nothing helps', async () => {
    const { log, large, service, unit } = world();
    await service.open(host, {});
    await service.runUnit(unit('a', 0));
    large.add('b');
    await service.runUnit(unit('b', 0));
    expect(log).toContain('close a');
    const none = world(false, {});
    await none.service.open(host, {});
    await expect(none.service.runUnit(none.unit('a', 0))).rejects.toThrow('this volunteer has no program shader');
  });

  test.each([
    [false, ['a/0 ends', 'tunes', 'a/1 begins']],
    [true, ['a/0 ends', 'a/1 begins']],
  ])('looks for faster kernels in spare time, unless its adapter is a software one (%s)', async (fallback, wanted) => {
    const { log, service, unit } = world(false, undefined, fallback);
    await service.open(host, {});
    await service.runUnit(unit('a', 0));
    await new Promise((resolve) => setImmediate(resolve));
    await service.runUnit(unit('a', 1));
    const from = log.indexOf('a/0 ends');
    expect(log.slice(from, from + wanted.length)).toEqual(wanted);
  });

  test('aborts a running unit and one that waits, and runs the next', async () => {
    const { log, service, unit } = world();
    await service.open(host, {});
    const [first, second, third] = [unit('a', 1), unit('a', 2), unit('a', 3)];
    const running = [service.runUnit(first), service.runUnit(second), service.runUnit(third)];
    await service.abort(first.call);
    await service.abort(second.call);
    const outcomes = await Promise.allSettled(running);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(log).not.toContain('a/2 begins');
  });

  test('opens a new device and the job anew after a loss', async () => {
    const { log, losses, service, unit } = world();
    await service.open(host, {});
    await service.runUnit(unit('a', 0));
    losses[0]?.();
    await service.runUnit(unit('a', 1));
    expect(log.filter((line) => line === 'device' || line === 'open a')).toEqual([
      'device',
      'open a',
      'device',
      'open a',
    ]);
  });

  test('a stage whose device was lost is not run again: nobody would tell it again what it had heard', async () => {
    let runs = 0;
    const own = world(false, {
      shader: async () => ({
        run: async () => {
          runs++;
          own.losses.at(-1)?.();
          throw new Error('the stage’s device failed');
        },
        close: () => undefined,
      }),
    });
    await own.service.open(host, {});
    const stage = { pipeline: 0, stage: 0, stages: 2, firstLayer: 0, layers: 1 };
    await expect(own.service.runUnit({ ...own.unit('a', 1), stage })).rejects.toThrow('the stage’s device failed');
    expect(runs).toBe(1);
  });

  test('runs a unit again whose device was lost, from what its program had kept after the unit before', async () => {
    const told: string[] = [];
    let losses = 1;
    const counter: OpenProgramFunction = async (_manifest, _device, _chunks, memory) => {
      let count = memory?.get('count')?.[0] ?? 0;
      told.push(`opened at ${count}`);
      return {
        async run({ unit }) {
          count += 1;
          if (unit === 2 && losses-- > 0) {
            own.losses.at(-1)?.();
            throw new DeviceError('the GPU device was lost');
          }
          memory?.set('count', Uint8Array.of(count));
          return Uint8Array.of(count);
        },
        close: () => undefined,
      };
    };
    const own = world(false, { shader: counter });
    await own.service.open(host, {});
    const results: number[][] = [];
    for (const unit of [0, 1, 2, 3]) results.push([...(await own.service.runUnit(own.unit('a', unit)))]);
    expect(results).toEqual([[1], [2], [3], [4]]);
    expect(told).toEqual(['opened at 0', 'opened at 2']);
    expect(own.log).toEqual(['device', 'duty 1', 'device', 'duty 1']);
  });

  test('after two losses in a row fails the unit by name, goes on with half of the device, and tells the host', async () => {
    const changes: number[] = [];
    const warnings: string[] = [];
    let losses = 4;
    const loser: OpenProgramFunction = async () => ({
      async run({ unit }) {
        if (unit === 1 && losses-- > 0) {
          own.losses.at(-1)?.();
          throw new DeviceError('the driver reset');
        }
        return Uint8Array.of(unit);
      },
      close: () => undefined,
    });
    const own = world(false, { shader: loser });
    const listening: ComputeHost = {
      ...host,
      deviceChanged: async ({ bufferBytesMax }) => void changes.push(bufferBytesMax),
      warn: async (line) => void warnings.push(line),
    };
    await own.service.open(listening, {});
    await expect(own.service.runUnit(own.unit('a', 1))).rejects.toThrow(
      'the GPU device was lost 2 times in a row by this unit: the driver reset',
    );
    expect([...(await own.service.runUnit(own.unit('a', 5)))]).toEqual([5]);
    expect(changes).toEqual([4]);
    await expect(own.service.runUnit(own.unit('a', 1))).rejects.toThrow('2 times in a row');
    expect([...(await own.service.runUnit(own.unit('a', 6)))]).toEqual([6]);
    expect(changes).toEqual([4, 2]);
    expect(own.log.filter((line) => line.startsWith('device'))).toEqual([
      'device',
      'device',
      'device at 0.5',
      'device at 0.5',
      'device at 0.25',
    ]);
    expect(warnings).toContain('the GPU device was lost twice in a row; this tab lends 50 % of its limits from now on');
  });

  test('an error that left the device alone is not tried again', async () => {
    let runs = 0;
    const failing: OpenProgramFunction = async () => ({
      async run() {
        runs++;
        throw new DeviceError('out of GPU memory');
      },
      close: () => undefined,
    });
    const own = world(false, { shader: failing });
    await own.service.open(host, {});
    await expect(own.service.runUnit(own.unit('a', 1))).rejects.toThrow('out of GPU memory');
    expect(runs).toBe(1);
  });

  test('lies only where the build may and it was asked to', async () => {
    const honest = world();
    await expect(honest.service.open(host, { lie: true })).rejects.toThrow('this build cannot lie');
    const able = world(true);
    await able.service.open(host, {});
    expect([...(await able.service.runUnit(able.unit('a', 5)))]).toEqual([1, 0, 5]);
    const liar = world(true);
    await liar.service.open(host, { lie: true });
    expect([...(await liar.service.runUnit(liar.unit('a', 5)))]).not.toEqual([1, 0, 5]);
  });
});

test('a lie changes every result that has bytes, far outside any tolerance, and keeps its length', () => {
  for (const length of [1, 3, 4, 5, 64, 65, 1000]) {
    const truth = new Uint8Array(length);
    const told = lie(truth);
    expect(told).toHaveLength(length);
    expect([...told]).not.toEqual([...truth]);
  }
  const floats = new Float32Array([1, 2, 3, 0]);
  const told = new Float32Array(lie(new Uint8Array(floats.buffer)).buffer);
  expect(Math.abs((told[0] ?? 0) - 1)).toBeGreaterThan(1);
});
