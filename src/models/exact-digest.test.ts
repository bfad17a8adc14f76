/** The exact programs on the CPU: their digests are the constants, they compute something that learns, and a bit shows. */

import { expect, test } from 'vitest';
import { closeNodeGpu, openNodeGpu } from '../node/open-gpu.ts';
import { openDevice } from '../adapters/gpu/device.ts';
import { computeExact, exactDigests, exactDigestsExpected, exactDigestsOnCpu, runExact } from './exact-digest.ts';
import { exactForwardProgram, exactTrainingProgram, type ExactProgram } from './exact-network.ts';

const wholes = (bytes: Uint8Array | undefined): Int32Array =>
  new Int32Array(bytes?.slice().buffer ?? new ArrayBuffer(0));
const results = (program: ExactProgram): Int32Array[] => computeExact(program).map(wholes);

test('the CPU gives the digests that every adapter must give', () => {
  expect(exactDigestsOnCpu()).toEqual(exactDigestsExpected);
});

test('one bit of one weight changes the logits', () => {
  const program = exactForwardProgram(1);
  const embedding = program.tensors['embedding']?.slice() ?? new Int32Array(0);
  embedding.set([(embedding.at(7) ?? 0) ^ 1], 7);
  const other = { ...program, tensors: { ...program.tensors, embedding } };
  expect(results(other)).not.toEqual(results(program));
});

test('no value of the forward pass is stuck at its bound', () => {
  const { tensors, operations } = exactForwardProgram(1);
  const bytes = ['query', 'key', 'value', 'mixed', 'gate', 'up', 'gated'];
  for (const values of results({ tensors, operations, results: bytes })) {
    expect(values.filter((value) => Math.abs(value) === 127).length).toBeLessThan(values.length / 100);
    expect(new Set(values).size).toBeGreaterThan(30);
  }
});

test('ten integer steps teach the network its sequence', () => {
  const lossAfter = (steps: number): number => {
    const program = exactTrainingProgram(1, steps);
    const [gradient = new Int32Array(0)] = results({ ...program, results: ['gradient'] });
    const targets = program.tensors['targets'] ?? new Int32Array(0);
    const vocabulary = gradient.length / targets.length;
    const sum = targets.reduce((all, target, row) => {
      const probability = ((gradient[row * vocabulary + target] ?? 0) + 32768) / 32768;
      return all - Math.log(Math.max(probability, 1 / 32768));
    }, 0);
    return sum / targets.length;
  };
  expect(lossAfter(1)).toBeGreaterThan(3);
  expect(lossAfter(10)).toBeLessThan(0.1);
});

test.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('Dawn on the driver at hand gives the same digests', async () => {
  const gpu = await openNodeGpu();
  const opened = await openDevice(gpu);
  try {
    expect(await exactDigests(opened.device)).toEqual(exactDigestsExpected);
    const program = exactForwardProgram(2);
    const onDevice = await runExact(opened.device, program);
    expect(onDevice.map(wholes)).toEqual(results(program));
    expect(opened.device.usage().buffers).toBe(0);
  } finally {
    opened.close();
    closeNodeGpu(gpu);
  }
});
