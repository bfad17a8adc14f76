/** SIGTERM to a hub: no new leases, but what volunteers hold is waited for; then it ends cleanly, and can go on. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { acceptedAt, expectInsideUnit, patience, test } from './support/story.ts';
import { expectWork, writeWork } from './support/work.ts';

test('a hub that is told to stop waits for what is held, ends with 0, and finishes the job when it is back', async ({
  stage,
}) => {
  const first = await stage.hub();
  const folder = await stage.folder();
  const work = { name: 'drained', units: 8, steps: 384 };
  const out = join(folder, 'out');
  const tab = await stage.volunteer(first.url);
  const path = await writeWork(folder, work);
  const submit = stage.command('submit', path, '--hub', first.url, '--data', folder, '--out', out, '--wait', '--json');
  await expectInsideUnit(tab);
  const before = await acceptedAt(first);
  first.command.kill('SIGTERM');
  await expect.poll(async () => (await first.health())?.draining, patience).toBe(true);
  expect(await first.command.ended).toBe(0);
  expect(first.command.stderr()).toContain('SIGTERM: no new leases; waiting for what volunteers hold');

  const second = await stage.hub({ port: first.port, data: first.data });
  // The unit that was held arrived before the end.
  expect(await acceptedAt(second)).toBeGreaterThan(before);
  expect(await submit.ended, submit.stderr()).toBe(0);
  expect(JSON.parse(submit.stdout())).toMatchObject({ state: 'done', accepted: 8, disagreements: 0 });
  await expectWork(out, work);
});
