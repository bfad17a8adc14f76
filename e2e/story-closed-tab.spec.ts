/** A volunteer closes the tab in the middle of a unit: nobody has to do anything about it. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { expectInsideUnit, numberOf, test } from './support/story.ts';
import { expectWork, writeWork } from './support/work.ts';

test('a tab closed in the middle of a unit: another runs the unit, and the job finishes right', async ({ stage }) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const work = { name: 'closed', units: 4, steps: 512 };
  const closing = await stage.volunteer(hub.url);
  const out = join(folder, 'out');
  const done = stage.json('submit', await writeWork(folder, work), '--hub', hub.url, '--data', folder, '--out', out);
  await expectInsideUnit(closing);
  await closing.close();
  const staying = await stage.volunteer(hub.url);
  const summary = await done;
  expect(summary).toMatchObject({ state: 'done', units: 4, accepted: 4, disagreements: 0 });
  // The unit that was lost was dealt once more.
  expect(summary['attempts']).toBeGreaterThan(4);
  await expectWork(out, work);
  expect(await numberOf(staying, 'sent')).toBeGreaterThan(0);
});
