/** The hub's process dies in the middle of a job and is started again: everybody comes back and the job finishes. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { acceptedAt, expectConnected, patience, test, type Hub } from './support/story.ts';
import { expectWork, writeWork } from './support/work.ts';

/** What the product promises: back within five seconds of the hub's return. */
const backMsMax = 5_000;

test('a hub killed in the middle: the job finishes without help, and nothing is run or paid twice', async ({
  stage,
}) => {
  const first = await stage.hub();
  const folder = await stage.folder();
  const work = { name: 'killed', units: 16, steps: 192 };
  const out = join(folder, 'out');
  const tabs = [await stage.volunteer(first.url), await stage.volunteer(first.url)];
  const path = await writeWork(folder, work);
  const submit = stage.command('submit', path, '--hub', first.url, '--data', folder, '--out', out, '--wait', '--json');
  await expect.poll(() => acceptedAt(first), patience).toBeGreaterThanOrEqual(4);
  first.command.kill('SIGKILL');
  expect(await first.command.ended).toBe('SIGKILL');

  const second = await stage.hub({ port: first.port, data: first.data });
  const up = performance.now();
  await expect
    .poll(async () => (await second.health())?.volunteers, { ...patience, intervals: [20] })
    .toBe(tabs.length);
  const backMs = performance.now() - up;
  console.log(`volunteers were back ${(backMs / 1000).toFixed(2)} s after the hub`);
  expect(backMs).toBeLessThan(backMsMax);
  for (const tab of tabs) await expectConnected(tab);

  expect(await submit.ended, submit.stderr()).toBe(0);
  const summary = JSON.parse(submit.stdout()) as { attempts: number };
  expect(summary).toMatchObject({ state: 'done', units: 16, accepted: 16, disagreements: 0 });
  await expectWork(out, work);
  // Only what was out when the hub died may have been dealt again.
  expect(summary.attempts).toBeLessThan(32);
  await expectNothingPaidTwice(second, 16);

  async function expectNothingPaidTwice(hub: Hub, units: number): Promise<void> {
    hub.command.kill('SIGTERM');
    expect(await hub.command.ended).toBe(0);
    const ledger = await stage.json('ledger', 'verify', '--data', hub.data);
    expect(ledger).toMatchObject({ ok: true, entries: units, accounts: 2 });
  }
});
