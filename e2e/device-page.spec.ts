/**
 * `#/device` as people meet it: what the GPU is, the test of every kernel, winners that the next visit still knows, and a
 * page that fits a phone. Kernels themselves are judged in `kernels.spec.ts`; what a wrong one looks like here is told by
 * a page whose device is made wrong on purpose.
 */

import { expect, test, type Browser, type Page } from 'playwright/test';
import { launch } from './support/browser.ts';
import { serveSources, type ServedSources } from './support/sources.ts';

let server: ServedSources;
let browser: Browser;

/** The site from its sources; `alter` changes a file on its way. */
const serve = (name: string, alter: (file: string, text: string) => string): Promise<ServedSources> =>
  serveSources(name, { plugins: [{ name: 'alter', transform: (code, file) => alter(file, code) }] });

test.beforeAll(async () => {
  server = await serve('device', (file, text) => tuningFor(4_000, file, text));
  browser = await launch();
});

test.afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** Gives tuning this much GPU time in place of the 20 s that a person may wait. */
const tuningFor = (ms: number, file: string, text: string): string =>
  file.includes('/kernels/inspection.ts') ? text.replace(/tuningMsMax = [\de_]+/, `tuningMsMax = ${ms}`) : text;

const addressOf = (one: ServedSources): string => `${one.url}#/device`;
const address = (): string => addressOf(server);
const widthBeyond = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

interface Report {
  readonly device: { readonly deviceClass: string; readonly numericClass?: string };
  readonly inspection?: {
    readonly selfTest: { readonly passed: number; readonly failed: number };
    readonly kernels: readonly { readonly kernel: string; readonly failed: number }[];
    readonly ceilings: { readonly f32Flops: number; readonly copyBytes: number };
    readonly speeds: readonly { readonly family: string; readonly fraction: number }[];
    readonly winners: readonly { readonly family: string; readonly bucket: string; readonly variant: string }[];
  };
}
const reportOf = async (page: Page): Promise<Report> =>
  JSON.parse((await page.locator('[data-report]').textContent()) ?? '') as Report;

test('shows the device at once, tests and measures it when told to, and fits a phone', async () => {
  test.setTimeout(600_000);
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(address());
  const run = page.getByRole('button', { name: 'Run' });
  await expect(page.locator('[data-phase=ready]')).toBeVisible({ timeout: 60_000 });
  await expect(page.locator('[data-device]')).toContainText('chromium');
  await expect(page.locator('[data-numeric-class]')).toHaveText(/^[0-9a-f]{16}$/);
  expect((await reportOf(page)).inspection).toBeUndefined();
  expect(await widthBeyond(page)).toBeLessThanOrEqual(0);

  await run.click();
  await expect(page.getByRole('status').filter({ hasText: 'Checking' })).toBeVisible({ timeout: 60_000 });
  await expect(page.locator('[data-verdict=right]')).toBeVisible({ timeout: 500_000 });
  const { device, inspection } = await reportOf(page);
  expect(inspection?.selfTest.failed).toBe(0);
  expect(inspection?.kernels.length).toBeGreaterThan(20);
  expect(inspection?.ceilings.f32Flops).toBeGreaterThan(1e8);
  expect(inspection?.ceilings.copyBytes).toBeGreaterThan(1e7);
  expect(await page.locator('[data-family]').count()).toBe(inspection?.speeds.length);
  expect(inspection?.speeds.length).toBeGreaterThan(0);
  for (const { fraction } of inspection?.speeds ?? []) expect(fraction).toBeGreaterThan(0);
  expect(await widthBeyond(page)).toBeLessThanOrEqual(0);

  // Another visit of the same profile: the same bits, and winners from the store.
  const again = await context.newPage();
  await again.goto(address());
  await expect(again.locator('[data-phase=ready]')).toBeVisible({ timeout: 60_000 });
  expect((await reportOf(again)).device.numericClass).toBe(device.numericClass);
  const kept = await again.evaluate(async () => {
    const opening = indexedDB.open('tabswarm-tuner');
    await new Promise((resolve) => opening.addEventListener('success', resolve));
    const asked = opening.result.transaction('winners').objectStore('winners').count();
    await new Promise((resolve) => asked.addEventListener('success', resolve));
    return asked.result;
  });
  expect(kept).toBe(inspection?.winners.length);
  expect(complaints).toEqual([]);
  await context.close();
});

test('without WebGPU the page says so, with the mend, and has nothing to run', async () => {
  const page = await browser.newPage();
  await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  await page.goto(address());
  await expect(page.getByRole('alert')).toContainText('does not offer WebGPU');
  await expect(page.getByRole('button', { name: 'Run' })).toBeDisabled();
  expect(page.workers()).toHaveLength(0);
  await page.close();
});

test('a device whose shader compiler is wrong is told by name', async () => {
  test.setTimeout(600_000);
  const spoil = (file: string, text: string): string =>
    file.includes('/silu_gate.wgsl') ? text.replaceAll('exp(', 'exp2(') : tuningFor(1, file, text);
  const wrong = await serve('device-wrong', spoil);
  const page = await browser.newPage();
  await page.goto(addressOf(wrong));
  await expect(page.locator('[data-phase=ready]')).toBeVisible({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Run' }).click();
  await expect(page.getByRole('alert')).toContainText('silu_gate', { timeout: 500_000 });
  await expect(page.locator('[data-failed=silu_gate]')).toContainText('the truth is');
  await page.close();
  await wrong.close();
});
