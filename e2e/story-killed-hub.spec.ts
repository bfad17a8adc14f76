/** The hub's process dies in the middle of a job and is started again: everybody comes back and the job finishes. */

import { join } from 'node:path';
import { expect } from 'playwright/test';
import { createSqlStore } from '../src/adapters/store/sql-store.ts';
import { v } from '../src/core/schema.ts';
import { logFolder, openPglite } from '../src/node/pglite.ts';
import { connect } from '../src/node/sdk.ts';
import { acceptedAt, expectConnected, patience, test } from './support/story.ts';
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
  // What a fresh link takes on this machine as busy as it is: two of them are allowed for where they take long.
  const dialled = performance.now();
  const onlooker = await connect(first.url, { data: await stage.folder() });
  const linkMs = performance.now() - dialled;
  stage.after(() => onlooker.close());

  const path = await writeWork(folder, work);
  const submit = stage.command('submit', path, '--hub', first.url, '--data', folder, '--out', out, '--wait', '--json');
  await expect.poll(() => acceptedAt(first), patience).toBeGreaterThanOrEqual(4);
  first.command.kill('SIGKILL');
  expect(await first.command.ended).toBe('SIGKILL');

  const second = await stage.hub({ port: first.port, data: first.data });
  const up = performance.now();
  const submitterBack = onlooker.jobs().then(() => performance.now() - up);
  await expect
    .poll(async () => (await second.health())?.volunteers, { ...patience, intervals: [20] })
    .toBe(tabs.length);
  const volunteersBackMs = performance.now() - up;
  const submitterBackMs = await submitterBack;
  const shown = [volunteersBackMs, submitterBackMs, linkMs].map((ms) => `${(ms / 1000).toFixed(2)} s`);
  console.log(
    `after the hub was back: volunteers ${shown[0]}, a submitter ${shown[1]} (a first link took ${shown[2]})`,
  );
  expect(Math.max(volunteersBackMs, submitterBackMs)).toBeLessThan(backMsMax + 2 * linkMs);
  for (const tab of tabs) await expectConnected(tab);

  expect(await submit.ended, submit.stderr()).toBe(0);
  const summary = JSON.parse(submit.stdout()) as { job: string };
  expect(summary).toMatchObject({ state: 'done', units: 16, accepted: 16, disagreements: 0 });
  await expectWork(out, work);

  second.command.kill('SIGTERM');
  expect(await second.command.ended).toBe(0);
  expect(await stage.json('ledger', 'verify', '--data', first.data)).toMatchObject({ ok: true, accounts: 2 });
  await expectNoneRunAgain(first.data, summary.job, 16);
});

const leased = v.looseObject({ type: v.literal('leased'), units: v.array(v.tuple([v.number(), v.number()])) });
const accepted = v.looseObject({ type: v.literal('accepted'), unit: v.number() });
const restarted = v.looseObject({ type: v.literal('restarted') });

/** The hub's own log: some units were accepted before it died, and no unit was lent out after it had been accepted. */
async function expectNoneRunAgain(data: string, job: string, units: number): Promise<void> {
  const store = await createSqlStore(await openPglite(logFolder(data)));
  const { facts, snapshot } = await store.load(job);
  await store.close();
  expect(snapshot).toBeUndefined();
  const ended = new Set<number>();
  let endedBefore = 0;
  for (const fact of facts) {
    if (v.is(accepted, fact)) ended.add(fact.unit);
    if (v.is(restarted, fact)) endedBefore = ended.size;
    if (!v.is(leased, fact)) continue;
    for (const [unit] of fact.units) expect(ended.has(unit), `unit ${unit} was lent after it was accepted`).toBe(false);
  }
  expect(endedBefore).toBeGreaterThanOrEqual(4);
  expect(ended.size).toBe(units);
}
