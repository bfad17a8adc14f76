/**
 * No server of ours but signalling: the site lies on a plain static host under a path, one tab hosts, one lends its GPU,
 * one submits. The hosting tab is reloaded in the middle of the second job.
 */

import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { expect, type Page } from 'playwright/test';
import { startSignalling } from '../src/node/net/signalling.ts';
import { expectConnected, expectInsideUnit, patience, root, test } from './support/story.ts';
import { serveFolder } from './support/static-site.ts';
import { workTruth, writeWork, type WorkOptions } from './support/work.ts';

test('the static site: hosted, computed and submitted in tabs alone, and the hosting tab may be reloaded', async ({
  stage,
}) => {
  const site = await serveFolder(join(root, 'dist', 'site'), '/some/path/');
  stage.after(() => site.close());
  const signalling = await startSignalling();
  stage.after(() => signalling.close());

  const host = await stage.page(`${site.url}?signal=${encodeURIComponent(signalling.url)}#/host`);
  const linkOf = async (who: 'volunteer' | 'submit'): Promise<string> => {
    const link = host.locator(`[data-invite="${who}"]`);
    await expect(link).toBeVisible(patience);
    return (await link.getAttribute('href')) ?? '';
  };
  const invite = await linkOf('volunteer');
  expect(invite.startsWith(`${site.url}?hub=peer:`)).toBe(true);
  const tab = await stage.volunteer(invite);
  const submitter = await stage.page(await linkOf('submit'));

  const first = { name: 'first', units: 4, steps: 64 };
  await choose(submitter, await stage.folder(), first);
  await expectDownload(submitter, first);

  const second = { name: 'second', units: 4, steps: 512 };
  await choose(submitter, await stage.folder(), second);
  await expectInsideUnit(tab);
  await host.reload();
  await expect(host.locator('[data-invite="volunteer"]')).toHaveAttribute('href', invite, patience);
  await expectDownload(submitter, second);
  await expectConnected(tab);
  await expect(host.locator('[data-job][data-state="done"]')).toHaveCount(2, patience);
});

async function choose(page: Page, folder: string, work: WorkOptions): Promise<void> {
  await page.getByLabel('Files').setInputFiles([await writeWork(folder, work), join(folder, 'work.wgsl')]);
  await page.getByRole('button', { name: 'Submit' }).click();
}

async function expectDownload(page: Page, { name, units, steps }: WorkOptions): Promise<void> {
  const link = page.locator(`a[data-download][download="${name}.bin"]`);
  await expect(link).toBeVisible(patience);
  const started = page.waitForEvent('download');
  await link.click();
  const bytes = await readFile(await (await started).path());
  const expected = Array.from({ length: units }, (_, unit) => workTruth(unit, steps));
  expect(bytes.equals(Buffer.concat(expected)), `${name}: the outputs joined in unit order`).toBe(true);
}
