/** What the shader program refuses before it touches the GPU, and what it asks of the device. Results: `e2e/compute.spec.ts`. */

import { expect, test } from 'vitest';
import { utf8 } from '../core/bytes.ts';
import type { Device, DeviceBuffer, Dispatch } from '../kernels/device.ts';
import type { Manifest, ManifestOf, ShaderBuffer } from '../protocol/manifest.ts';
import type { Chunks } from '../protocol/ports.ts';
import { openShaderProgram, UnitAbortedError } from './shader.ts';
import { safeChoices } from '../kernels/variants.ts';

const artifact = (bytes: number) => ({ bytes, chunks: [] });
const manifestOf = (buffers: ShaderBuffer[], shader: Partial<ManifestOf<'shader'>['shader']> = {}): Manifest => ({
  version: 1,
  name: 'test',
  nonce: '0'.repeat(32),
  submitter: '0'.repeat(64) as Manifest['submitter'],
  expires: 0,
  price: 1,
  units: 3,
  verify: { replicas: 1, absolute: 0, relative: 0 },
  limits: { unitSeconds: 1 },
  program: 'shader',
  shader: {
    wgsl: artifact(1),
    constants: {},
    buffers,
    steps: [{ entryPoint: 'main', grid: [1, 1, 1], repeat: 1 }],
    loop: 1,
    ...shader,
  },
});
const output = (count: number, binding = 0): ShaderBuffer => ({ binding, kind: 'output', type: 'u32', count });
const chunksOf = (wgsl: string): Chunks => ({
  read: async ({ bytes }) => (bytes === 1 ? utf8(wgsl) : new Uint8Array(bytes)),
  readRange: async (_artifact, start, end) => Uint8Array.from({ length: end - start }, (_, index) => start + index),
});

function recorder() {
  const buffers = new Set<DeviceBuffer>();
  const written: [string, number[]][] = [];
  const cleared: string[] = [];
  const ran: Dispatch[] = [];
  const device: Device = {
    limits: {
      bindingBytesMax: 1024,
      bufferBytesMax: 2048,
      workgroupsPerDimensionMax: 65535,
      storageBindingsMax: 2,
      workgroupInvocationsMax: 256,
      workgroupBytesMax: 16384,
      memoryBytesMax: 1500,
    },
    features: new Set(),
    choices: safeChoices,
    createBuffer(label, bytes) {
      const buffer = { label, bytes };
      buffers.add(buffer);
      return buffer;
    },
    write: (buffer, bytes) => void written.push([buffer.label, [...bytes]]),
    clear: (buffer) => void cleared.push(buffer.label),
    copy: () => undefined,
    prepare: async () => undefined,
    run: async (dispatches) => void ran.push(...dispatches),
    flush: async () => undefined,
    read: async (_buffer, _offset, bytes = 0) => new Uint8Array(bytes),
    free: (buffer) => void buffers.delete(buffer),
    usage: () => ({ buffers: buffers.size, bytes: [...buffers].reduce((sum, { bytes }) => sum + bytes, 0) }),
  };
  return { device, buffers, written, cleared, ran };
}
const request = (unit: number, signal = new AbortController().signal) => ({ unit, signal, progress: () => undefined });

test.each<[string, Manifest, string]>([
  [
    'a buffer above the binding limit',
    manifestOf([output(257)]),
    'buffer at binding 0 (output) needs 1028 bytes, this device binds at most 1024',
  ],
  [
    'buffers above the memory in all',
    manifestOf([output(256), output(200, 1)]),
    'a unit needs 1824 bytes of GPU memory, 1500 bytes are free here',
  ],
  [
    'too many storage buffers',
    manifestOf([output(1), output(1, 1), output(1, 2)]),
    'the job binds 3 storage buffers, this device allows 2',
  ],
])('%s is refused with the sizes named, before anything is made', async (_, manifest, text) => {
  const { device, buffers } = recorder();
  await expect(openShaderProgram(manifest, device, chunksOf(''))).rejects.toThrow(text);
  expect(buffers.size).toBe(0);
});

test('a feature that the GPU lacks is named, and a job that fails to open leaves no buffer', async () => {
  const { device, buffers } = recorder();
  const open = openShaderProgram(manifestOf([output(1)]), device, chunksOf('enable subgroups, f16;\n'));
  await expect(open).rejects.toThrow('enables subgroups, but this GPU does not have subgroups');
  const failing: Device = { ...device, prepare: async () => Promise.reject(new Error('does not compile')) };
  await expect(openShaderProgram(manifestOf([output(1)]), failing, chunksOf(''))).rejects.toThrow('does not compile');
  expect(buffers.size).toBe(0);
});

test('each unit gets its own value, padded to whole words, and its size shows in the binding', async () => {
  const { device, written, ran, cleared, buffers } = recorder();
  const each: ShaderBuffer = { binding: 1, kind: 'each', data: artifact(15), sizes: [4, 6, 5] };
  const program = await openShaderProgram(
    manifestOf([{ binding: 0, kind: 'unit' }, each, output(3, 2)]),
    device,
    chunksOf(''),
  );
  const result = await program.run(request(1));
  expect(result).toHaveLength(12);
  expect(written).toEqual([
    ['binding 0 (unit)', [1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['binding 1 (each)', [4, 5, 6, 7, 8, 9, 0, 0]],
  ]);
  expect(ran[0]?.bindings[1]).toMatchObject({ binding: 1, access: 'read', bytes: 8 });
  expect(cleared).toEqual(['binding 2 (output)']);
  program.close();
  expect(buffers.size).toBe(0);
});

test('steps, repeat and loop run in their order, and an aborted unit stops between them', async () => {
  const { device, ran } = recorder();
  const steps = [
    { entryPoint: 'a', grid: [1, 1, 1] as [number, number, number], repeat: 2 },
    { entryPoint: 'b', grid: [1, 1, 1] as [number, number, number], repeat: 1 },
  ];
  const program = await openShaderProgram(manifestOf([output(1)], { steps, loop: 50 }), device, chunksOf(''));
  await program.run(request(0));
  expect(ran.map(({ pipeline }) => pipeline.entryPoint).join('')).toBe('aab'.repeat(50));
  ran.length = 0;
  const abort = new AbortController();
  const stopping: Device['run'] = async (dispatches) => {
    ran.push(...dispatches);
    abort.abort();
  };
  const stopped = await openShaderProgram(
    manifestOf([output(1)], { steps, loop: 50 }),
    { ...device, run: stopping },
    chunksOf(''),
  );
  await expect(stopped.run(request(0, abort.signal))).rejects.toThrow(UnitAbortedError);
  expect(ran.length).toBeLessThan(150);
});
