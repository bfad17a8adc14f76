/** What the doctor concludes and says, from findings that are written here; devices themselves are asked in e2e. */

import { describe, expect, test } from 'vitest';
import type { Inspection } from '../kernels/inspection.ts';
import { linesOf } from './commands/doctor.ts';
import { examine, judged } from './doctor.ts';
import { runProgram } from './program.ts';

const node = { version: '22.0.0', platform: 'linux x64' };
const device = {
  deviceClass: 'mesa software dawn',
  fallback: true,
  features: ['core-features-and-limits', 'subgroups'],
  bindingBytesMax: 2 ** 27,
  bufferBytesMax: 2 ** 30,
  numericClass: 'ab'.repeat(32),
  loopIterationsMax: 65_535,
};
const inspection: Inspection = {
  adapter: { vendor: 'mesa', architecture: 'software', description: 'llvmpipe' },
  limits: {
    bindingBytesMax: 2 ** 27,
    bufferBytesMax: 2 ** 30,
    workgroupsPerDimensionMax: 65_535,
    storageBindingsMax: 8,
    workgroupInvocationsMax: 256,
    workgroupBytesMax: 16_384,
    memoryBytesMax: 2 ** 32,
  },
  seed: 1,
  selfTest: { passed: 7, failed: 0, notApplicable: 2 },
  kernels: [{ kernel: 'matmul', passed: 7, failed: 0 }],
  ceilings: { f32Flops: 2e10, f16Flops: 1e10, copyBytes: 4e9, dispatchMs: 0.02, submitMs: 0.1 },
  speeds: [
    {
      family: 'softmax',
      bucket: 'width:128',
      variant: 'row',
      isTuned: true,
      ms: 1,
      bound: 'bytes',
      perSecond: 1e9,
      fraction: 0.25,
    },
  ],
  winners: [],
  dropped: [{ family: 'softmax', bucket: 'width:128', variant: 'wide', problem: 'output[0] is NaN' }],
};

describe('the verdict', () => {
  test('is yes where every kernel is right, with a wrong variant left out or without', () => {
    const report = judged({ node, device, inspection });
    expect(report.canContribute).toBe(true);
    const text = linesOf(report).join('\n');
    expect(text).toContain('a software adapter');
    expect(text).toContain("left out: softmax 'wide' (width:128) is wrong: output[0] is NaN");
    expect(text).toContain('at most 20.0 GFLOP/s in f32, 10.0 GFLOP/s in f16, 4.00 GB/s copied');
    expect(text).toContain('softmax width:128: row, 1.00 GB/s, 25 % of the most');
    expect(text).toContain('loops end by themselves after 65535 turns');
    expect(text).toMatch(/this machine can contribute$/);
  });

  test('is no where a kernel is wrong, and names it with what was wrong first and the mend', () => {
    const kernels = [{ kernel: 'matmul', passed: 6, failed: 1, problem: '3 x 3: output[2] is 1, and the truth is 2' }];
    const report = judged({ node, device, inspection: { ...inspection, kernels } });
    expect(report.canContribute).toBe(false);
    expect(report.obstacle).toMatch(/matmul: 3 x 3: output\[2\] is 1, and the truth is 2: update the GPU driver/);
    expect(linesOf(report).at(-1)).not.toContain('can contribute');
  });
});

async function run(...words: readonly string[]) {
  const results: string[] = [];
  const progress: string[] = [];
  const code = await runProgram(words, {
    result: (line) => void results.push(line),
    progress: (line) => void progress.push(line),
  });
  return { code, results, progress };
}

test.each([
  [['doctor', '--gpu', 'any'], 'error: --gpu: a browser chooses the GPU itself; add --native'],
  [['doctor', '--tuner-check'], 'error: --tuner-check: works with --native only; add it'],
  [['doctor', '--family', 'softmax'], 'error: --family: goes with --tuner-check; add it, or leave it out'],
])('%j is bad usage', async (words, line) => {
  expect(await run(...words)).toEqual({ code: 2, results: [], progress: [line] });
});

test('a machine without the browser that was named: one line why, exit code 1, and one JSON object', async () => {
  const before = process.env['TABSWARM_BROWSER'];
  process.env['TABSWARM_BROWSER'] = '/no/such/browser';
  try {
    const { code, results, progress } = await run('doctor', '--json');
    expect(code).toBe(1);
    expect(results).toHaveLength(1);
    expect(JSON.parse(results[0] ?? '')).toMatchObject({
      canContribute: false,
      node: { version: process.versions.node },
    });
    expect(progress.at(-1)).toMatch(
      /^error: this machine cannot contribute: TABSWARM_BROWSER names \/no\/such\/browser/,
    );
  } finally {
    if (before === undefined) delete process.env['TABSWARM_BROWSER'];
    else process.env['TABSWARM_BROWSER'] = before;
  }
});

test.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('a GPU that this machine does not have', async () => {
  const report = await examine({
    native: true,
    gpu: 'no such gpu',
    data: '',
    tunerCheck: false,
    progress: () => undefined,
  });
  expect(report.canContribute).toBe(false);
  expect(report.obstacle).toContain('no such gpu');
});
