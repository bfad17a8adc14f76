/** A hub for other machines: https with a certificate of its own, reached by an address that is not the loopback. */

import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import { numberOf, patience, test } from './support/story.ts';
import { writeWork } from './support/work.ts';

/** An address of this machine that a browser does not trust as it trusts the loopback; that one where there is no other. */
const address =
  Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';

test('a hub over https with a generated certificate: a tab connects from the network address and computes', async ({
  stage,
}) => {
  const hub = await stage.hub({ words: ['--https', '--host', '0.0.0.0'] });
  expect(new URL(hub.url).protocol).toBe('https:');
  const folder = await stage.folder();
  const tab = await stage.volunteer(`https://${address}:${hub.port}/`);
  expect(await tab.evaluate(() => isSecureContext)).toBe(true);
  await expect(tab.locator('[data-device]')).not.toBeEmpty();
  const work = { name: 'secure', units: 2, steps: 64 };
  const submitter = await stage.page(`https://${address}:${hub.port}/#/submit`);
  await submitter.getByLabel('Files').setInputFiles([await writeWork(folder, work), join(folder, 'work.wgsl')]);
  await submitter.getByRole('button', { name: 'Submit' }).click();
  await expect(submitter.locator('[data-state="done"][data-received="2"]')).toBeVisible(patience);
  expect(await numberOf(tab, 'sent')).toBe(2);
});
