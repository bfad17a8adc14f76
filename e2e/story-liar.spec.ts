/** One volunteer lies, three do not. The page comes from a server that is not the hub's, as on any static host. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { numberOf, patience, root, test } from './support/story.ts';
import { serveFolder } from './support/static-site.ts';
import { expectWork, writeWork } from './support/work.ts';

test('a liar among honest tabs: every accepted unit is right, and the liar gets no more work', async ({ stage }) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const site = await serveFolder(join(root, 'dist', 'site-demo'), '/demo/');
  stage.after(() => site.close());
  const page = `${site.url}?hub=${encodeURIComponent(hub.url)}`;
  const work = { name: 'checked', units: 12, steps: 64, replicas: 2 };
  const out = join(folder, 'out');
  const liar = await stage.volunteer(`${page}&lie`);
  const honest = [await stage.volunteer(page), await stage.volunteer(page), await stage.volunteer(page)];
  const path = await writeWork(folder, work);
  const summary = await stage.json('submit', path, '--hub', hub.url, '--data', folder, '--out', out);
  expect(summary).toMatchObject({ state: 'done', accepted: 12 });
  expect(summary['disagreements']).toBeGreaterThan(0);
  await expectWork(out, work);
  await expect(liar.getByText('The hub gives this account no more work')).toBeVisible(patience);
  expect(await numberOf(liar, 'credit')).toBe(0);
  for (const tab of honest) expect(await numberOf(tab, 'wrong')).toBe(0);
});

test('the site for others cannot lie: the tab that is asked to does not start', async ({ stage }) => {
  const hub = await stage.hub();
  const page = await stage.page(`${hub.url}/?lie`);
  await page.getByRole('button', { name: 'Start' }).click();
  await expect(page.getByRole('alert')).toHaveText(/cannot lie/, patience);
});
