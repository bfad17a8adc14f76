/** A volunteer's page is reloaded in the middle of a unit: the account is the same, and nothing is fetched twice. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { expectInsideUnit, numberOf, startVolunteer, test } from './support/story.ts';
import { expectWork, writeWork } from './support/work.ts';

test('a tab reloaded in the middle: the same account comes back and fetches no chunk again', async ({ stage }) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const work = { name: 'reloaded', units: 4, steps: 512 };
  const tab = await stage.volunteer(hub.url);
  const out = join(folder, 'out');
  const done = stage.json('submit', await writeWork(folder, work), '--hub', hub.url, '--data', folder, '--out', out);
  await expectInsideUnit(tab);
  const fetched = tab.locator('[data-number="fetched"]');
  await expect(fetched).not.toHaveText('0 B');
  await tab.reload();
  // Nothing runs before its owner presses Start again.
  await expect(tab.getByRole('button', { name: 'Start' })).toBeVisible();
  await startVolunteer(tab);
  expect(await done).toMatchObject({ state: 'done', accepted: 4 });
  await expectWork(out, work);
  expect(await numberOf(tab, 'sent')).toBeGreaterThan(0);
  await expect(fetched).toHaveText('0 B');

  // One account has done everything, before and after.
  hub.command.kill('SIGTERM');
  expect(await hub.command.ended).toBe(0);
  expect(await stage.json('ledger', 'verify', '--data', hub.data)).toMatchObject({ ok: true, entries: 4, accounts: 1 });
});
