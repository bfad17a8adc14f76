/**
 * A job that never ends: it fails by name, with the line of its loop, and the tab that tried it does the next job at once.
 * And where a GPU hangs after all, `tabswarm volunteer --tabs` notices and gives its browser a new GPU process.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import { connect } from '../src/node/sdk.ts';
import { openVolunteerTabs } from '../src/node/volunteer-tabs.ts';
import type { ShaderJobInput } from '../src/protocol/job-file.ts';
import { expectConnected, patience, test } from './support/story.ts';
import { expectWork, workJob, workShader, writeWork } from './support/work.ts';

const endlessShader = readFileSync(new URL('./shaders/endless.wgsl', import.meta.url), 'utf8');
const endlessJob: ShaderJobInput = {
  version: 1,
  name: 'endless',
  program: 'shader',
  shader: 'endless.wgsl',
  buffers: [{ binding: 0, kind: 'output', type: 'u32', count: 256 }],
  grid: [4, 1, 1],
  units: { count: 1 },
  verify: { replicas: 1, absolute: 0, relative: 0 },
  limits: { unitSeconds: 3 },
};

test('an endless job fails by name, and another is done in the same tab within two seconds', async ({ stage }) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const tab = await stage.volunteer(hub.url);
  const work = { name: 'next', units: 1, steps: 16 };
  const swarm = await connect(hub.url, { data: folder });
  stage.after(() => swarm.close());

  const endless = await swarm.submit(endlessJob, { files: { 'endless.wgsl': endlessShader } });
  const failed = tab.getByText(/Unit 0 failed: shader\.wgsl:6:3: this loop did not end within \d+ rounds/);
  await expect(failed.first()).toBeVisible(patience);

  const startedAt = performance.now();
  const next = await swarm.submit(workJob(work), { files: { 'work.wgsl': workShader } });
  await next.finished;
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(`after the endless shader another job was done in the same tab in ${seconds.toFixed(2)} s`);
  expect(next.state()).toMatchObject({ state: 'done', accepted: 1 });
  expect(seconds).toBeLessThan(2);
  expect(endless.state()).toMatchObject({ accepted: 0 });
  endless.cancel();
  await endless.finished;
});

test('a GPU that hangs gets a new process, and its tabs go on', async ({ stage }) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const said: string[] = [];
  const tabs = await openVolunteerTabs({
    url: `${hub.url}/`,
    report: (line) => void said.push(line),
    watch: { everyMs: 1000, answerMsMax: 8000 },
  });
  stage.after(() => tabs.close());
  const { page } = await tabs.open();
  await expectConnected(page);
  // As a shader would that no rewriting tamed.
  await page.evaluate(hang, endlessShader);
  const hungAt = performance.now();
  const work = { name: 'after', units: 2, steps: 16 };
  const out = join(folder, 'out');
  const path = await writeWork(folder, work);
  const summary = await stage.json('submit', path, '--hub', hub.url, '--data', folder, '--out', out);
  console.log(
    `a hung GPU was replaced and two units were done after ${((performance.now() - hungAt) / 1000).toFixed(1)} s`,
  );
  expect(summary).toMatchObject({ state: 'done', accepted: 2 });
  await expectWork(out, work);
  expect(tabs.watch.recoveries()).toBe(1);
  expect(said.filter((line) => line.includes('GPU'))).toEqual([
    'the GPU has not answered for 8 s; its process starts anew',
  ]);
});

/** Runs in the page, beside the tab's own worker: a dispatch that never ends. */
async function hang(code: string): Promise<void> {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  if (device === undefined) throw new Error('there is no GPU device');
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const buffer = device.createBuffer({ size: 1024, usage: GPUBufferUsage.STORAGE });
  const entries = [{ binding: 0, resource: { buffer } }];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(4);
  pass.end();
  device.queue.submit([encoder.finish()]);
}
