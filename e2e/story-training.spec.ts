/**
 * People train a model on tabs that come and go: a tab closes, the hub dies, the submitter gives up. What a training
 * leaves behind is read back and held against what the seats say they have.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, type Page } from 'playwright/test';
import { expectInsideUnit, patience, test, type Stage } from './support/story.ts';
import { expectRound, readCheckpoint, readMetrics, summaryOf, writeTraining } from './support/training.ts';

const openTabs = async (stage: Stage, url: string, count: number): Promise<Page[]> => {
  const tabs: Page[] = [];
  for (let index = 0; index < count; index++) tabs.push(await stage.volunteer(url));
  return tabs;
};

test('a tab closed in the middle of a round: the others go on, learn, and end with the same parameters', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const out = join(folder, 'out');
  const [rounds, innerSteps] = [4, 12];
  const config = await writeTraining(folder, { name: 'closed', workers: 3, rounds, innerSteps });
  const [closing, staying] = await openTabs(stage, hub.url, 3);
  if (closing === undefined || staying === undefined) throw new Error('three tabs were opened');
  const training = stage.command('train', config, '--hub', hub.url, '--data', folder, '--out', out, '--json');
  await expectRound(training, 0);
  await expectInsideUnit(closing);
  await closing.close();
  const summary = await summaryOf(training);

  expect(Object.keys(summary).toSorted()).toEqual(summaryFields);
  expect(summary).toMatchObject({ state: 'done', reason: null, steps: rounds * innerSteps, mfu: null, out });
  expect(summary).toMatchObject({ roundsCompleted: rounds, roundsSkipped: 0 });

  const checkpoint = await readCheckpoint(out);
  expect(summary.parameters).toBe(checkpoint.parameters.length);
  const metrics = await readMetrics(out, rounds);
  // Two tabs are left; where the closed one was to measure the end, one of them has done that seat's part too.
  const digests = summary.workers.flatMap(({ parametersSha256 }) => parametersSha256 ?? []);
  expect(digests.length).toBe(metrics.at(-1)?.contributors);
  expect(digests.length).toBeGreaterThanOrEqual(2);
  expect(new Set(digests)).toEqual(new Set([checkpoint.sha256]));
  expect(metrics[0]).toMatchObject({ step: 0, contributors: 3 });
  expect(metrics.at(-2)).toMatchObject({ contributors: 2 });
  expect(metrics.at(-1)).toMatchObject({ step: rounds * innerSteps });
  const [start, end] = [metrics[0]?.validationLoss ?? 0, metrics.at(-1)?.validationLoss ?? Infinity];
  // A network that has learned nothing spreads its belief over 256 bytes.
  expect(Math.abs(start - Math.log(256))).toBeLessThan(0.2);
  expect(end).toBeLessThan(start - 1);
  expect([summary.startValidationLoss, summary.validationLoss]).toEqual([start, end]);

  expect(summary.bytesReceived).toBeGreaterThan(0);
  expect(summary.bytesSent).toBeGreaterThan(0);
  expect(summary.bytesSent).toBeLessThan(summary.bytesDense);
  expect(summary.bytesDense).toBe(4 * summary.parameters * 3 * rounds * innerSteps);
  await expectPicture(staying, await readFile(join(out, 'loss.svg'), 'utf8'), 'closed');
  report('closed tab', summary.seconds / rounds, start, end, summary);
});

test('solo: every seat learns alone and ends with parameters of its own', async ({ stage }) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const out = join(folder, 'out');
  const [rounds, innerSteps] = [2, 10];
  const config = await writeTraining(folder, { name: 'solo', method: 'solo', workers: 2, rounds, innerSteps });
  await openTabs(stage, hub.url, 2);
  const training = stage.command('train', config, '--hub', hub.url, '--data', folder, '--out', out, '--json');
  const summary = await summaryOf(training);
  expect(summary).toMatchObject({ state: 'done', roundsCompleted: rounds, roundsSkipped: 0 });
  const checkpoint = await readCheckpoint(out);
  const [first, second] = summary.workers;
  expect(first?.parametersSha256).toBe(checkpoint.sha256);
  expect(second?.parametersSha256).toMatch(/^[0-9a-f]{64}$/);
  expect(second?.parametersSha256).not.toBe(checkpoint.sha256);
  expect(summary.workers.map(({ steps }) => steps)).toEqual([rounds * innerSteps, rounds * innerSteps]);
  const metrics = await readMetrics(out, rounds);
  expect(metrics.at(-1)?.validationLoss).toBeLessThan(metrics[0]?.validationLoss ?? 0);
  report('solo', summary.seconds / rounds, metrics[0]?.validationLoss, summary.validationLoss, summary);
});

test('a hub killed in the middle of a training: it goes on where it was and no round is lost or told twice', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const out = join(folder, 'out');
  const [rounds, innerSteps] = [4, 12];
  const config = await writeTraining(folder, { name: 'killed', workers: 2, rounds, innerSteps });
  const [tab] = await openTabs(stage, hub.url, 2);
  if (tab === undefined) throw new Error('two tabs were opened');
  const training = stage.command('train', config, '--hub', hub.url, '--data', folder, '--out', out, '--json');
  await expectRound(training, 1);
  await expectInsideUnit(tab);
  hub.command.kill('SIGKILL');
  expect(await hub.command.ended).toBe('SIGKILL');
  await stage.hub({ port: hub.port, data: hub.data });
  const summary = await summaryOf(training);

  expect(summary).toMatchObject({ state: 'done', roundsCompleted: rounds, roundsSkipped: 0 });
  const metrics = await readMetrics(out, rounds);
  expect(metrics.at(-1)?.validationLoss).toBeLessThan((metrics[0]?.validationLoss ?? 0) - 1);
  const checkpoint = await readCheckpoint(out);
  expect(summary.workers.map(({ parametersSha256 }) => parametersSha256)).toEqual([
    checkpoint.sha256,
    checkpoint.sha256,
  ]);
  report('killed hub', summary.seconds / rounds, metrics[0]?.validationLoss, summary.validationLoss, summary);
});

test('a training interrupted with Ctrl+C is cancelled on the hub, and its rounds so far are kept', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const out = join(folder, 'out');
  const config = await writeTraining(folder, { name: 'interrupted', workers: 1, rounds: 1000, innerSteps: 4 });
  const tab = await stage.volunteer(hub.url);
  const training = stage.command('train', config, '--hub', hub.url, '--data', folder, '--out', out, '--json');
  await expectRound(training, 1);
  training.kill('SIGINT');
  expect(await training.ended).toBe(1);
  expect(JSON.parse(training.stdout())).toMatchObject({ state: 'cancelled', parameters: 0 });
  expect(training.stderr().trimEnd().split('\n').at(-1)).toMatch(/training cancelled: cancelled by its submitter$/);
  await expect.poll(async () => (await hub.jobs()).at(-1)?.state, patience).toBe('cancelled');
  await expect(tab.getByText('Waiting for work')).toBeVisible(patience);
  const lines = (await readFile(join(out, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
  expect(lines.length).toBeGreaterThanOrEqual(2);
});

/** The fields of the job format, and two that it leaves open: why a training failed, and the loss it began with. */
const summaryFields = [
  'bigramLoss',
  'bytesDense',
  'bytesReceived',
  'bytesSent',
  'job',
  'mfu',
  'out',
  'parameters',
  'reason',
  'roundsCompleted',
  'roundsSkipped',
  'seconds',
  'startValidationLoss',
  'state',
  'steps',
  'tokens',
  'trainLoss',
  'validationLoss',
  'workers',
];

/** A browser takes it for a picture that has this title. */
async function expectPicture(page: Page, svg: string, title: string): Promise<void> {
  const read = await page.evaluate((text) => {
    const parsed = new DOMParser().parseFromString(text, 'image/svg+xml');
    const isBroken = parsed.querySelector('parsererror') !== null;
    return { isBroken, root: parsed.documentElement.tagName, text: parsed.documentElement.textContent };
  }, svg);
  expect(read).toMatchObject({ isBroken: false, root: 'svg' });
  expect(read.text).toContain(title);
}

function report(
  name: string,
  secondsPerRound: number,
  start: number | null | undefined,
  end: number | null,
  bytes: { readonly bytesSent: number; readonly bytesReceived: number; readonly bytesDense: number },
): void {
  const { bytesSent, bytesReceived, bytesDense } = bytes;
  console.log(
    `${name}: ${secondsPerRound.toFixed(2)} s a round, validation loss ${start?.toFixed(3)} -> ${end?.toFixed(3)}, ` +
      `sent ${bytesSent}, received ${bytesReceived}, dense ${bytesDense} bytes`,
  );
}
