/** Jobs that nobody wants any more: cancelled by command, by an AbortSignal, by Ctrl+C. The tabs let go at once. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { connect } from '../src/node/sdk.ts';
import { expectComputing, expectFree, expectInsideUnit, numberOf, test } from './support/story.ts';
import { workJob, workShader, writeWork } from './support/work.ts';

// Longer than any story's patience: these units end by being let go, or not at all.
const endless = { units: 4, steps: 1_000_000 };

test('a cancelled job: command, AbortSignal and Ctrl+C each end it, and the tab is free for the next', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const tab = await stage.volunteer(hub.url);
  const submit = async (name: string) => {
    const path = await writeWork(folder, { name, ...endless });
    const started = stage.command('submit', path, '--hub', hub.url, '--data', folder, '--wait', '--json');
    await expectComputing(tab, started);
    return started;
  };
  const stateOf = async (name: string) => (await hub.jobs()).find((job) => job.name === name)?.state;

  await test.step('tabswarm cancel', async () => {
    const waiting = await submit('by-command');
    const id = (await hub.jobs()).at(-1)?.job.slice(0, 16) ?? '';
    const others = await stage.folder();
    const refused = stage.command('cancel', id, '--hub', hub.url, '--data', others);
    expect(await refused.ended, 'nobody else may cancel it').not.toBe(0);
    expect(await stateOf('by-command')).toBe('running');
    expect(await stage.json('cancel', id, '--hub', hub.url, '--data', folder)).toMatchObject({ state: 'cancelled' });
    expect(await waiting.ended).toBe(1);
    expect(JSON.parse(waiting.stdout())).toMatchObject({ state: 'cancelled', accepted: 0 });
    await expectFree(tab);
  });

  await test.step('AbortSignal', async () => {
    const swarm = await connect(hub.url, { data: folder });
    const abort = new AbortController();
    const job = await swarm.submit(workJob({ name: 'by-signal', ...endless }), {
      files: { 'work.wgsl': workShader },
      signal: abort.signal,
    });
    await expectInsideUnit(tab);
    abort.abort();
    expect(await job.finished).toMatchObject({ state: 'cancelled', accepted: 0 });
    swarm.close();
    await expectFree(tab);
  });

  await test.step('Ctrl+C', async () => {
    const waiting = await submit('by-interrupt');
    waiting.kill('SIGINT');
    expect(await waiting.ended).toBe(1);
    expect(await stateOf('by-interrupt')).toBe('cancelled');
    await expectFree(tab);
  });

  const next = await writeWork(folder, { name: 'next', units: 1, steps: 1 });
  const out = join(folder, 'out');
  expect(await stage.json('submit', next, '--hub', hub.url, '--data', folder, '--out', out)).toMatchObject({
    accepted: 1,
  });
  expect(await numberOf(tab, 'sent')).toBe(1);
});
