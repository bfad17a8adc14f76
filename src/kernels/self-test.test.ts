/**
 * The self-test on a device of paper: buffers in memory, and "running" a case writes its truth rounded to f32. So what is
 * tested here is the judging; kernels on a real device are judged in `node/self-test.test.ts` and `e2e/kernels.spec.ts`.
 */

import { expect, test } from 'vitest';
import { copyBytes } from '../core/bytes.ts';
import { present } from '../core/assert.ts';
import { kernelCases } from './catalogue.ts';
import { DeviceError, type Device, type DeviceBuffer } from './device.ts';
import { selfTest } from './self-test.ts';
import type { KernelCase } from './test-case.ts';
import { canRun, safeChoices } from './variants.ts';

const seed = 1;

/** Elements before a tensor, as the self-test lays it unless the case wants it aligned; a guard is one of them. */
const offset = 3;

const traits = {
  limits: {
    bindingBytesMax: 2 ** 27,
    bufferBytesMax: 2 ** 28,
    workgroupsPerDimensionMax: 65535,
    storageBindingsMax: 8,
    workgroupInvocationsMax: 256,
    workgroupBytesMax: 16384,
    memoryBytesMax: 2 ** 30,
  },
  features: new Set<string>(),
};
const applies = ({ variant }: KernelCase): boolean => variant === undefined || canRun(variant, traits);

/** `alter` changes an output's words before they are read. */
function paperDevice(cases: readonly KernelCase[], alter: (words: Uint32Array, name: string) => void): Device {
  const memory = new Map<DeviceBuffer, Uint8Array>();
  const remaining = cases.filter(applies);
  const bytesOf = (buffer: DeviceBuffer): Uint8Array => present(memory.get(buffer), `no buffer ${buffer.label}`);
  return {
    ...traits,
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
    run: async () => {
      const { expected, alignment } = present(remaining.shift(), 'more runs than cases');
      for (const [buffer, bytes] of memory) {
        const name = buffer.label.replace('self-test ', '');
        const want = expected[name];
        if (want === undefined) continue;
        const words = new Uint32Array(bytes.buffer);
        const rounded = want instanceof Uint32Array ? want : new Uint32Array(Float32Array.from(want).buffer);
        words.set(rounded, alignment ?? offset);
        alter(words, name);
      }
    },
    flush: async () => undefined,
    read: async (buffer) => copyBytes(bytesOf(buffer)),
    free: (buffer) => void memory.delete(buffer),
    usage: () => ({ buffers: memory.size, bytes: 0 }),
  };
}

const some = kernelCases(seed).filter(
  (own) => applies(own) && own.alignment === undefined && (own.kernel === 'rms_norm' || own.kernel === 'argmax'),
);
const ofKernel = (name: string): string[] => some.filter(({ kernel }) => kernel === name).map(() => name);
const floats = (words: Uint32Array): Float32Array => new Float32Array(words.buffer);

test('a device that gives the truth rounded to f32 passes every case and is left without buffers', async () => {
  const cases = kernelCases(seed);
  const device = paperDevice(cases, () => undefined);
  const report = await selfTest(device, { seed, cases });
  expect(report.cases.filter((own) => !own.passed)).toEqual([]);
  const notApplicable = cases.filter((own) => !applies(own)).length;
  expect(report).toMatchObject({ passed: cases.length - notApplicable, failed: 0, notApplicable });
  expect(notApplicable).toBeGreaterThan(0);
  expect(device.usage().buffers).toBe(0);
});

test.each([
  ['one output a little off', (words: Uint32Array) => (floats(words)[offset]! += 0.001), /^output\[0\] is .* truth is/],
  ['no number', (words: Uint32Array) => (floats(words)[offset] = NaN), /^output\[0\] is NaN/],
  ['a guard before the tensor', (words: Uint32Array) => (words[offset - 1] = 0), /outside the tensor was written/],
  [
    'a guard behind the tensor',
    (words: Uint32Array) => (words[words.length - 1] = 0),
    /outside the tensor was written/,
  ],
])('the self-test reports %s, for that kernel only', async (_, spoil, problem) => {
  const report = await selfTest(
    paperDevice(some, (words, name) => name === 'output' && spoil(words)),
    { cases: some },
  );
  const failed = report.cases.filter((own) => !own.passed);
  expect(failed.map((own) => own.kernel)).toEqual(ofKernel('rms_norm'));
  for (const own of failed) expect(own.problem).toMatch(problem);
});

test('an index that is off by one is reported with how many are wrong', async () => {
  const device = paperDevice(some, (words, name) => name === 'indices' && words[offset]!++);
  const failed = (await selfTest(device, { cases: some })).cases.filter((own) => !own.passed);
  expect(failed.map(({ kernel, errorMax }) => [kernel, errorMax])).toEqual(ofKernel('argmax').map((name) => [name, 1]));
});

test('a device error fails its case with its text, and the others go on', async () => {
  const device = paperDevice(some.slice(1), () => undefined);
  let runs = 0;
  const run = device.run.bind(device);
  const failing: Device = {
    ...device,
    run: (dispatches) => (runs++ === 0 ? Promise.reject(new DeviceError('out of memory')) : run(dispatches)),
  };
  const report = await selfTest(failing, { cases: some });
  expect(report).toMatchObject({ failed: 1, passed: some.length - 1 });
  expect(report.cases[0]?.problem).toBe('out of memory');
});
