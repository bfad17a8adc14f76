/** What is kept of compiled shaders, on Dawn's null backend, which compiles and computes nothing. */

import { expect, test } from 'vitest';
import type { Binding, Pipeline } from '../../kernels/device.ts';
import { shaderSource } from '../../kernels/sources.ts';
import { closeNodeGpu, openNodeGpu } from '../../node/open-gpu.ts';
import { createPipelines, modulesMax } from './pipelines.ts';

async function withPipelines(use: (pipelines: ReturnType<typeof createPipelines>) => Promise<void>): Promise<void> {
  const gpu = await openNodeGpu({ backend: 'null' });
  const device = await (await gpu.requestAdapter())?.requestDevice();
  if (device === undefined) throw new Error('the null backend has no device');
  try {
    await use(createPipelines(device));
  } finally {
    device.destroy();
    closeNodeGpu(gpu);
  }
}

const jobsShader = (job: number): Pipeline => ({
  label: 'fill',
  wgsl: `${shaderSource('fill')}\n// of job ${job}\n`,
  entryPoint: 'main',
});

test('a thousand jobs, each with a shader of its own, leave no more than the last ones compiled', async () => {
  await withPipelines(async (pipelines) => {
    for (let job = 0; job < 1000; job++) await pipelines.prepare(jobsShader(job));
    expect(pipelines.kept()).toEqual({ modules: modulesMax, pipelines: modulesMax });
  });
});

test('a shader that is used again and again stays, and one that was let go compiles anew', async () => {
  await withPipelines(async (pipelines) => {
    const bindings: readonly Binding[] = [
      { binding: 0, uniform: new Uint8Array(16) },
      { binding: 1, buffer: { label: 'output', bytes: 16 }, access: 'write' },
    ];
    const kept = await pipelines.compile(jobsShader(-1), bindings);
    const gone = await pipelines.compile(jobsShader(-2), bindings);
    for (let job = 0; job < modulesMax; job++) {
      await pipelines.prepare(jobsShader(job));
      expect(await pipelines.compile(jobsShader(-1), bindings)).toBe(kept);
    }
    expect(pipelines.find(jobsShader(-1), bindings)).toBe(kept);
    expect(pipelines.find(jobsShader(-2), bindings)).toBeUndefined();
    const anew = await pipelines.compile(jobsShader(-2), bindings);
    expect(anew).not.toBe(gone);
    expect(pipelines.find(jobsShader(-2), bindings)).toBe(anew);
  });
});
