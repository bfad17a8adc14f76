/**
 * Every kernel against its f64 truth on the browser's own WebGPU: sizes that fit no tile, tensors at odd offsets, guards
 * around them. What a browser could do wrong is done on purpose, and must be noticed.
 */

import { expect, test, type Browser, type Page } from 'playwright/test';
import { miscompiles } from './pages/miscompiles.ts';
import { launch } from './support/browser.ts';
import { serveSources, type ServedSources } from './support/sources.ts';

/** `npm run conformance` has another one as well. */
const seeds = [1];

let server: ServedSources;
let browser: Browser;
let page: Page;

test.beforeAll(async () => {
  server = await serveSources('kernels');
  browser = await launch();
  page = await browser.newPage();
  await page.goto(server.page('kernels'));
  await page.waitForFunction(() => 'kernelsUnderTest' in window);
});

test.afterAll(async () => {
  await browser?.close();
  await server?.close();
});

for (const seed of seeds) {
  test(`every kernel agrees with its truth, seed ${seed}`, async () => {
    test.setTimeout(300_000);
    const startMs = Date.now();
    const report = await page.evaluate((own) => window.kernelsUnderTest.selfTest(own), seed);
    test.info().annotations.push({ type: 'self-test ms', description: String(Date.now() - startMs) });
    expect(report.cases.filter((own) => !own.passed)).toEqual([]);
    expect(report.cases.length).toBeGreaterThan(90);
    expect(report.passed).toBe(report.cases.length);
    expect((await page.evaluate(() => window.kernelsUnderTest.usage())).buffers).toBe(0);
  });
}

for (const wrong of miscompiles) {
  test(`a browser that turns '${wrong.from}' of ${wrong.kernel} into '${wrong.to}' is found out`, async () => {
    const failed = await page.evaluate((own) => window.kernelsUnderTest.failedWith(own), wrong);
    expect(failed.length).toBeGreaterThan(0);
    expect(new Set(failed.map((own) => own.kernel))).toEqual(new Set([wrong.kernel]));
  });
}

test('a row gives equal bits alone and in any batch', async () => {
  expect(await page.evaluate(() => window.kernelsUnderTest.rowsThatDependOnTheBatch())).toEqual([]);
});

test('every variant of the row kernels gives a row equal bits at any place of any batch', async () => {
  expect(await page.evaluate(() => window.kernelsUnderTest.variantsThatDependOnTheBatch())).toEqual([]);
});

test('NaN and infinity in a row come out as NaN, in every variant, and leave the rows beside it alone', async () => {
  expect(await page.evaluate(() => window.kernelsUnderTest.variantsThatHideBadNumbers())).toEqual([]);
});

test('integer programs and the referee give the digests that every adapter and engine must give', async () => {
  const { got, expected } = await page.evaluate(() => window.kernelsUnderTest.exactDigests());
  expect(Object.values(got).map((digest) => digest.length)).toEqual([64, 64, 64]);
  expect(got).toEqual(expected);
});
