/**
 * The stores of a tab in a real browser: the acceptance suites on its IndexedDB, a tab that is closed in the middle of
 * its appends, and the account key that the tabs of a profile share.
 */

import { expect, test, type Browser, type BrowserContext, type Page } from 'playwright/test';
import { launch } from './support/browser.ts';
import { serveSources, type ServedSources } from './support/sources.ts';

let server: ServedSources;
let browser: Browser;
let context: BrowserContext;

test.beforeAll(async () => {
  server = await serveSources('store');
  browser = await launch();
});

test.afterAll(async () => {
  await browser.close();
  await server.close();
});

test.beforeEach(async () => {
  context = await browser.newContext();
});
test.afterEach(() => context.close());

async function open(on: BrowserContext = context): Promise<Page> {
  const page = await on.newPage();
  page.on('pageerror', (error) => console.error(`page: ${error.message}`));
  await page.goto(server.page('store'));
  await page.waitForFunction(() => 'storePage' in window);
  return page;
}

for (const [suite, cases] of [
  ['log', 13],
  ['chunks', 7],
  ['chunks under a cap', 4],
] as const) {
  test(`IndexedDB ${suite}: every promise of the acceptance suite holds`, async () => {
    const page = await open();
    const outcomes = await page.evaluate((name) => window.storePage.run(name), suite);
    expect(outcomes.filter(([, failure]) => failure !== null)).toEqual([]);
    expect(outcomes).toHaveLength(cases);
  });
}

test('a tab that is closed in the middle of its appends loses no acknowledged one', async () => {
  const page = await open();
  let acknowledged = -1;
  const enough = new Promise<void>((resolve) => {
    page.on('console', (message) => {
      if (!message.text().startsWith('acknowledged ')) return;
      acknowledged = Number(message.text().slice('acknowledged '.length));
      if (acknowledged >= 50) resolve();
    });
  });
  // The evaluation ends with the page, which is no failure here.
  void page.evaluate(() => window.storePage.appendForEver()).catch(() => undefined);
  await enough;
  await page.close();
  const facts = await (await open()).evaluate(() => window.storePage.readAll());
  expect(facts.length).toBeGreaterThan(acknowledged);
  expect(facts).toEqual(facts.map((_, index) => index));
});

test('the tabs of a profile are one account, whose key cannot be read; another profile is another account', async () => {
  const [first, second] = await Promise.all([open(), open()]);
  const [a, b] = await Promise.all([first, second].map((page) => page.evaluate(() => window.storePage.account())));
  expect(a).toMatchObject({ kind: 'webcrypto', readable: false, vouched: true });
  expect(b).toEqual(a);
  await second.reload();
  await second.waitForFunction(() => 'storePage' in window);
  expect(await second.evaluate(() => window.storePage.account())).toEqual(a);
  const other = await browser.newContext();
  const stranger = await (await open(other)).evaluate(() => window.storePage.account());
  expect(stranger.account).not.toBe(a?.account);
  await other.close();
});

test('how fast a tab appends, alone and in shared transactions', async () => {
  const page = await open();
  const single = await page.evaluate(() => window.storePage.measure(300, false));
  const together = await page.evaluate(() => window.storePage.measure(3000, true));
  const description = `${single} appends/s singly, ${together} together`;
  test.info().annotations.push({ type: 'IndexedDB', description });
  console.log(`IndexedDB: ${description}`);
  // A machine may be busy: the numbers are for the reader, and a tab that hosts needs at least these.
  expect(Math.min(single, together)).toBeGreaterThan(10);
});
