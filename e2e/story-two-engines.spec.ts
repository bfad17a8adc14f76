/**
 * One job, two engines: a tab of Chromium and a tab of Firefox, whose shader compilers and drivers share no code, compute
 * every unit both, over the real paths, and agree within the job's tolerance. Skipped where no Firefox is found.
 */

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import type { Page as FirefoxPage } from 'puppeteer-core';
import { launchFirefox } from './support/firefox.ts';
import { numberOf, patience, root, test } from './support/story.ts';

const units = 4;
const lanes = 64;
/** 4096 additions in f32, in an order that engines share and with roots that they need not share. */
const relative = 1e-4;

const arcJob = {
  version: 1,
  name: 'arcs',
  program: 'shader',
  shader: 'arc.wgsl',
  buffers: [
    { binding: 0, kind: 'unit' },
    { binding: 1, kind: 'output', type: 'f32', count: lanes },
  ],
  grid: [1, 1, 1],
  units: { count: units },
  verify: { replicas: 2, absolute: 0, relative },
};

/** The arc's length from 0 to x, in closed form. */
const arcTo = (x: number): number => (x / 2) * Math.sqrt(1 + 4 * x * x) + Math.asinh(2 * x) / 4;

/** Presses Start on the volunteer's page in Firefox and waits until the hub knows the tab; false where it has no GPU. */
async function startInFirefox(page: FirefoxPage): Promise<boolean> {
  const hasAdapter = await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) instanceof GPUAdapter);
  if (!hasAdapter) return false;
  await page.locator('::-p-aria([name="Start"][role="button"])').click();
  const state = (): Promise<string> => page.$eval('header .hub', (element) => element.textContent?.trim() ?? '');
  await expect.poll(state, patience).toBe('connected');
  return true;
}

const numberInFirefox = (page: FirefoxPage, name: string): Promise<number> =>
  page.evaluate((own) => Number(document.querySelector(`[data-number="${own}"]`)?.textContent ?? 0), name);

test('a tab of Chromium and a tab of Firefox compute the same units and agree within the tolerance', async ({
  stage,
}) => {
  const firefox = await launchFirefox();
  const isMissing = 'why' in firefox;
  test.skip(isMissing, isMissing ? firefox.why : '');
  if (isMissing) return;
  stage.after(() => firefox.close());
  const hub = await stage.hub();
  const inFirefox = await firefox.page(hub.url);
  const started = await startInFirefox(inFirefox);
  test.skip(!started, `Firefox ${firefox.version} finds no WebGPU adapter: install a Vulkan driver`);
  const inChromium = await stage.volunteer(hub.url);

  const folder = await stage.folder();
  await copyFile(join(root, 'e2e', 'shaders', 'arc.wgsl'), join(folder, 'arc.wgsl'));
  await writeFile(join(folder, 'arcs.json'), JSON.stringify(arcJob));
  const out = join(folder, 'out');
  const words = ['--hub', hub.url, '--data', folder, '--out', out];
  const summary = await stage.json('submit', join(folder, 'arcs.json'), ...words);

  expect(summary).toMatchObject({ state: 'done', units, accepted: units, attempts: 2 * units, disagreements: 0 });
  for (let unit = 0; unit < units; unit++) {
    const bytes = await readFile(join(out, `${String(unit).padStart(6, '0')}.bin`));
    const lengths = new Float32Array(Uint8Array.from(bytes).buffer);
    for (const [lane, length] of lengths.entries()) {
      const start = (unit * lanes + lane) / lanes;
      const truth = arcTo(start + 1 / lanes) - arcTo(start);
      expect(Math.abs(length - truth) / truth, `unit ${unit}, lane ${lane}`).toBeLessThan(relative);
    }
  }
  // Two replicas of each unit, and nobody is asked twice for one: both engines computed everything.
  await expect.poll(() => numberOf(inChromium, 'verified'), patience).toBe(units);
  await expect.poll(() => numberInFirefox(inFirefox, 'verified'), patience).toBe(units);
  expect(await numberOf(inChromium, 'wrong')).toBe(0);
  expect(await numberInFirefox(inFirefox, 'wrong')).toBe(0);
});
