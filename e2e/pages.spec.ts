/**
 * The site's pages as people meet them: what the volunteer's page says before Start and that it computes nothing until
 * then, what it says where it cannot start, and that every door fits a phone and keeps the hub's content policy.
 */

import { expect, type Page } from 'playwright/test';
import { launch } from './support/browser.ts';
import { patience, startVolunteer, test, type Hub, type Stage } from './support/story.ts';
import { writeWork } from './support/work.ts';

// Each story opens a hub and a browser; on a machine that does much else, both take their time.
test.describe.configure({ timeout: 240_000 });

/** What the page complains about, in its console or by throwing. */
function complaintsOf(page: Page): readonly string[] {
  const complaints: string[] = [];
  page.on('console', (line) => {
    if (line.type() === 'error' || line.type() === 'warning') complaints.push(line.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return complaints;
}

const start = (page: Page) => page.getByRole('button', { name: 'Start' });
const widthBeyond = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

/** A job that waits for volunteers; `name` as people read it. */
async function offerJob(stage: Stage, hub: Hub, name: string): Promise<void> {
  const folder = await stage.folder();
  const job = await writeWork(folder, { name, units: 2, steps: 1 });
  stage.command('submit', job, '--hub', hub.url, '--data', folder, '--wait');
  await expect.poll(async () => (await hub.jobs()).length, patience).toBe(1);
}

test('the page says what will run and for whom; nothing computes before Start, and then just that', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const name = `slow-${'very-'.repeat(16)}long-name`;
  await offerJob(stage, hub, name);
  const page = await stage.page('about:blank');
  await page.setViewportSize({ width: 390, height: 844 });
  const complaints = complaintsOf(page);
  await page.goto(hub.url);
  await expect(page.locator('[data-announced=told]')).toContainText(name, patience);
  await expect(page.locator('[data-announced=told]')).toContainText(/shader job for [0-9a-f]{8}/);
  expect(page.workers()).toHaveLength(0);
  expect((await hub.health())?.volunteers).toBe(0);
  expect((await hub.jobs())[0]).toMatchObject({ accepted: 0 });
  expect(await widthBeyond(page)).toBeLessThanOrEqual(0);

  const before = await start(page).boundingBox();
  // By keyboard, and the focus stays on the button whose words change.
  await start(page).focus();
  await page.keyboard.press('Enter');
  const pause = page.getByRole('button', { name: 'Pause' });
  await expect(pause).toBeFocused(patience);
  expect(await pause.boundingBox()).toEqual(before);
  await expect(page.locator('[data-worked]')).toContainText(name, patience);
  await expect(page.locator('[data-number=sent]')).toHaveText('2', patience);
  expect(page.workers()).toHaveLength(1);
  await expect(page).toHaveTitle(/^Running · \d+ verified · tabswarm$/);
  expect(await widthBeyond(page)).toBeLessThanOrEqual(0);
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(start(page)).toBeFocused(patience);
  expect(complaints).toEqual([]);
});

test('a second tab of the profile says that one is running, and starts once that one has stopped', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const first = await stage.volunteer(hub.url);
  const second = await stage.page(hub.url, first.context());
  await start(second).click();
  await expect(second.getByRole('alert')).toContainText('already running', patience);
  await expect(second).toHaveTitle('Problem · tabswarm');
  expect(second.workers()).toHaveLength(0);
  await first.getByRole('button', { name: 'Stop' }).click();
  await expect(start(first)).toBeVisible(patience);
  await startVolunteer(second);
  await expect(second.getByRole('alert')).toHaveCount(0);
});

test('where WebGPU is missing, the page is not secure or the hub’s address is wrong, the page says so and does not start', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const without = await stage.page('about:blank');
  await without.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  await without.goto(hub.url);
  await expect(without.getByRole('alert')).toContainText('does not offer WebGPU', patience);
  await expect(start(without)).toBeDisabled();
  await start(without).click({ force: true });
  expect(without.workers()).toHaveLength(0);

  // Any name but localhost is insecure over http.
  const browser = await launch({ args: ['--host-resolver-rules=MAP volunteer.test 127.0.0.1'] });
  stage.after(() => browser.close());
  const insecure = await browser.newPage();
  await insecure.goto(`http://volunteer.test:${hub.port}/`);
  await expect(insecure.getByRole('alert')).toContainText('https', patience);
  await expect(start(insecure)).toBeDisabled();

  const wrong = await stage.page(`${hub.url}/?hub=nonsense`);
  await expect(wrong.getByRole('alert')).toContainText('nonsense', patience);
  await expect(start(wrong)).toBeDisabled();
  // Browsers never connect to port 1.
  const silent = await stage.page(`${hub.url}/?hub=http://127.0.0.1:1`);
  await expect(silent.locator('[data-announced=unreachable]')).toContainText('does not answer', patience);
});

test('the doors to host and to submit fit a phone and keep the content policy', async ({ stage }) => {
  const hub = await stage.hub();
  const host = await stage.page('about:blank');
  const submit = await stage.page('about:blank');
  const complaints = [complaintsOf(host), complaintsOf(submit)];
  for (const page of [host, submit]) await page.setViewportSize({ width: 390, height: 844 });
  await host.goto(`${hub.url}/?signal=ws://localhost:${hub.port}/signal#/host`);
  const invite = host.locator('[data-invite=submit]');
  await expect(invite).toBeVisible(patience);
  expect(await widthBeyond(host)).toBeLessThanOrEqual(0);
  await submit.goto((await invite.getAttribute('href')) ?? '');
  await expect(submit.getByRole('button', { name: 'Submit' })).toBeDisabled(patience);
  expect(await widthBeyond(submit)).toBeLessThanOrEqual(0);
  expect(complaints).toEqual([[], []]);
});
