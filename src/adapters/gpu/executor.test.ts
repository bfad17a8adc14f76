/**
 * The executor on Dawn in Node. Skips where the environment has no driver for it (TABSWARM_NODE_GPU=1 says it has);
 * `e2e/compute.spec.ts` tells the same story in a browser.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { viewBytes } from '../../core/bytes.ts';
import { DeviceError, type Dispatch, type Pipeline } from '../../kernels/device.ts';
import { openNodeGpu } from '../../node/open-gpu.ts';
import { openDevice, type OpenedDevice } from './device.ts';

const shader = (name: string): string => readFileSync(new URL(`../../../e2e/shaders/${name}`, import.meta.url), 'utf8');
const f32 = (bytes: Uint8Array): number[] => [...new Float32Array(bytes.slice().buffer)];
const u32 = (bytes: Uint8Array): number[] => [...new Uint32Array(bytes.slice().buffer)];
const affine = (factor: number): Pipeline => ({
  label: 'affine.wgsl',
  wgsl: shader('affine.wgsl'),
  entryPoint: 'main',
  constants: { factor },
});
const busy = (rounds: number): Pipeline => ({
  label: 'busy.wgsl',
  wgsl: shader('busy.wgsl'),
  entryPoint: 'main',
  constants: { rounds },
});

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('the executor', () => {
  let gpu: GPU;
  let opened: OpenedDevice;
  beforeAll(async () => {
    gpu = await openNodeGpu();
    opened = await openDevice(gpu);
  });
  afterAll(() => opened.close());

  const settings = (count: number, offset: number): Uint8Array => {
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setUint32(0, count, true);
    bytes.setFloat32(4, offset, true);
    return viewBytes(bytes);
  };

  test('runs dispatches in order on the buffers they name, uniforms included', async () => {
    const { device } = opened;
    const a = device.createBuffer('a', 315 * 4);
    const b = device.createBuffer('b', 315 * 4);
    const source = Float32Array.from({ length: 315 }, (_, index) => index);
    device.write(a, viewBytes(source));
    const step = (from: typeof a, to: typeof a, offset: number): Dispatch => ({
      pipeline: affine(2),
      bindings: [
        { binding: 2, buffer: to, access: 'write' },
        { binding: 1, buffer: from, access: 'read' },
        { binding: 0, uniform: settings(315, offset) },
      ],
      grid: [5, 1, 1],
    });
    await device.run([step(a, b, 1), step(b, a, 10)]);
    expect(f32(await device.read(a))).toEqual([...source].map((value) => (value * 2 + 1) * 2 + 10));
    device.free(a);
    device.free(b);
  });

  test('keeps the order of calls that nobody awaits', async () => {
    const { device } = opened;
    const a = device.createBuffer('a', 64);
    const b = device.createBuffer('b', 64);
    const one = new Float32Array(16).fill(1);
    const three = new Float32Array(16).fill(3);
    const add = (offset: number): Dispatch => ({
      pipeline: affine(7.5),
      bindings: [
        { binding: 0, uniform: settings(16, offset) },
        { binding: 1, buffer: a, access: 'read' },
        { binding: 2, buffer: b, access: 'write' },
      ],
      grid: [1, 1, 1],
    });
    device.write(a, viewBytes(one));
    const first = device.run([add(1)]);
    const readFirst = device.read(b);
    device.write(a, viewBytes(three));
    one.fill(0);
    const second = device.run([add(2)]);
    const readSecond = device.read(b, 4, 4);
    await Promise.all([first, second]);
    expect(f32(await readFirst)).toEqual(Array.from({ length: 16 }, () => 8.5));
    expect(f32(await readSecond)).toEqual([24.5]);
    device.clear(b);
    device.copy(a, 0, b, 32, 8);
    expect(f32(await device.read(b, 28, 16))).toEqual([0, 3, 3, 0]);
    device.free(a);
    device.free(b);
  });

  test('names the line and column of a compile error, and runs right work afterwards', async () => {
    const wgsl = shader('affine.wgsl').replace('x] * factor', 'x] * missing');
    const line = wgsl.split('\n').findIndex((text) => text.includes('missing')) + 1;
    await expect(opened.device.prepare([{ label: 'wrong.wgsl', wgsl, entryPoint: 'main' }])).rejects.toThrow(
      new RegExp(`^wrong\\.wgsl:${line}:\\d+: .*missing`),
    );
    await expect(opened.device.prepare([affine(1)])).resolves.toBeUndefined();
  });

  test('fails a run whose bindings are not those of the shader, and never answers zeros', async () => {
    const { device } = opened;
    const a = device.createBuffer('a', 64);
    const dispatch: Dispatch = {
      pipeline: affine(1),
      bindings: [{ binding: 2, buffer: a, access: 'read' }],
      grid: [1, 1, 1],
    };
    await expect(device.run([dispatch])).rejects.toThrow(DeviceError);
    const outOfRange: Dispatch = {
      pipeline: busy(1),
      bindings: [{ binding: 0, buffer: a, access: 'write', offset: 256 }],
      grid: [1, 1, 1],
    };
    await expect(device.run([outOfRange])).rejects.toThrow('busy.wgsl: binding 0: bytes 256 to 64 of buffer a with 64');
    const tooMany: Dispatch = {
      pipeline: busy(1),
      bindings: [{ binding: 0, buffer: a, access: 'write' }],
      grid: [1 << 20, 1, 1],
    };
    await device.run([tooMany]);
    await expect(device.read(a)).rejects.toThrow(/busy\.wgsl: the GPU refused the work/);
    expect(u32(await device.read(a, 0, 4))).toEqual([0]);
    device.free(a);
  });

  test('accounts for memory and gives it back', async () => {
    const small = await openDevice(gpu, { memoryBytesMax: 1024 });
    const before = small.device.usage();
    const a = small.device.createBuffer('a', 1000);
    expect(small.device.usage()).toEqual({ buffers: before.buffers + 1, bytes: before.bytes + 1000 });
    expect(() => small.device.createBuffer('b', 100)).toThrow('buffer b: 100 bytes on top of 1000 in use');
    await small.device.run([
      { pipeline: busy(2), bindings: [{ binding: 0, buffer: a, access: 'write' }], grid: [4, 1, 1] },
    ]);
    small.device.free(a);
    expect(small.device.usage()).toEqual(before);
    expect(() => small.device.write(a, new Uint8Array(4))).toThrow('buffer a: freed already');
    await small.device.flush();
    small.close();
  });

  test('rejects pending and later calls once the device is gone', async () => {
    const doomed = await openDevice(gpu);
    const a = doomed.device.createBuffer('a', 1 << 16);
    await doomed.device.run([
      { pipeline: busy(1000), bindings: [{ binding: 0, buffer: a, access: 'write' }], grid: [256, 1, 1] },
    ]);
    const pending = doomed.device.read(a);
    doomed.close();
    await expect(pending).rejects.toThrow(/device was (closed|lost)/);
    await expect(doomed.device.run([])).rejects.toThrow(DeviceError);
    expect(() => doomed.device.createBuffer('b', 4)).toThrow(DeviceError);
    expect(await doomed.lost).toMatch(/device was (closed|lost)/);
  });

  test('cuts long work into submits of at most 50 ms and keeps to its duty cycle', async () => {
    const own = await openDevice(gpu);
    const a = own.device.createBuffer('a', 1 << 16);
    const work: Dispatch[] = Array.from({ length: 80 }, () => ({
      pipeline: busy(100),
      bindings: [{ binding: 0, buffer: a, access: 'write' }],
      grid: [256, 1, 1],
    }));
    await own.device.run(work.slice(0, 20));
    await own.device.flush();
    own.setDuty(0.5);
    const busyBefore = own.busyMs();
    const start = performance.now();
    await own.device.run(work);
    await own.device.flush();
    const share = (own.busyMs() - busyBefore) / (performance.now() - start);
    expect(share).toBeLessThan(0.6);
    expect(share).toBeGreaterThan(0.2);
    own.close();
  });
});
