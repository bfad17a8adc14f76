/** The volunteer's buttons: who pauses is free at once, others take over; who resumes works again; Stop is the end. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { connect } from '../src/node/sdk.ts';
import { expectInsideUnit, numberOf, patience, test } from './support/story.ts';
import { expectWork, workJob, workShader, writeWork } from './support/work.ts';

test('pause returns leases at once, resume works, a second tab of one profile is told so, stop ends it', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const context = await stage.browser.newContext();
  const tab = await stage.volunteer(hub.url, context);

  await test.step('a second tab of the same profile', async () => {
    const second = await stage.page(hub.url, context);
    await second.getByRole('button', { name: 'Start' }).click();
    await expect(second.getByRole('alert')).toHaveText(/already running/, patience);
    await second.close();
    expect((await hub.health())?.volunteers).toBe(1);
  });

  await test.step('pause', async () => {
    const work = { name: 'taken-over', units: 3, steps: 512 };
    const out = join(folder, 'out');
    const done = stage.json('submit', await writeWork(folder, work), '--hub', hub.url, '--data', folder, '--out', out);
    await expectInsideUnit(tab);
    const sent = await numberOf(tab, 'sent');
    await tab.getByRole('button', { name: 'Pause' }).click();
    await expect(tab.getByText('What this tab held went back to the hub at once.')).toBeVisible(patience);
    const other = await stage.volunteer(hub.url);
    expect(await done).toMatchObject({ state: 'done', accepted: 3 });
    await expectWork(out, work);
    expect(await numberOf(tab, 'sent')).toBe(sent);
    expect(await numberOf(other, 'sent')).toBe(3 - sent);
    await other.close();
  });

  await test.step('resume', async () => {
    await expect.poll(async () => (await hub.health())?.volunteers, patience).toBe(1);
    await tab.getByRole('button', { name: 'Resume' }).click();
    const again = { name: 'again', units: 2, steps: 64 };
    const path = await writeWork(folder, again);
    const summary = await stage.json('submit', path, '--hub', hub.url, '--data', folder);
    expect(summary).toMatchObject({ state: 'done', accepted: 2 });
  });

  await test.step('stop in the middle of a unit', async () => {
    const swarm = await connect(hub.url, { data: folder });
    const endless = workJob({ name: 'endless', units: 1, steps: 1_000_000 });
    const job = await swarm.submit(endless, { files: { 'work.wgsl': workShader } });
    await expectInsideUnit(tab);
    await tab.getByRole('button', { name: 'Stop' }).click();
    await expect(tab.getByRole('button', { name: 'Start' })).toBeVisible(patience);
    await expect.poll(async () => (await hub.health())?.volunteers, patience).toBe(0);
    expect(job.state()).toMatchObject({ state: 'running', accepted: 0 });
    job.cancel();
    await job.finished;
    swarm.close();
  });
});
