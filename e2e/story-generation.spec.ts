/**
 * Text from a swarm: samples of a trained checkpoint spread over tabs, drawn by a generator that only counts, from
 * weights that no tab fetches twice; and the tokens that llama2.c itself draws from real weights.
 */

import { existsSync, readFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, type Page } from 'playwright/test';
import type { GenerateSummary } from '../src/node/generate-run.ts';
import { numberOf, root, startVolunteer, test, type Hub, type Stage } from './support/story.ts';
import { readCheckpoint, summaryOf, writeTraining } from './support/training.ts';

/** Runs `tabswarm generate --hub` to its end. */
const generate = async (stage: Stage, hub: Hub, ...words: readonly string[]): Promise<GenerateSummary> => {
  const started = stage.command('generate', '--hub', hub.url, '--data', hub.data, ...words, '--json');
  expect(await started.ended, started.stderr()).toBe(0);
  return JSON.parse(started.stdout()) as GenerateSummary;
};

const textsOf = ({ samples }: GenerateSummary): string[] => samples.map(({ text }) => text);

test('samples of a checkpoint come from both tabs, depend on the seed alone, and cost no weight byte twice', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const model = join(folder, 'out', 'checkpoint');
  const trainer = await stage.volunteer(hub.url);
  const config = await writeTraining(folder, { name: 'spoken', workers: 1, rounds: 1, innerSteps: 40 });
  const words = ['--hub', hub.url, '--data', hub.data, '--out', join(folder, 'out'), '--json'];
  expect(await summaryOf(stage.command('train', config, ...words))).toMatchObject({ state: 'done' });
  await trainer.close();
  const { parameters, config: shape } = await readCheckpoint(join(folder, 'out'));
  const weightBytes = parameters.byteLength;

  const first = await stage.volunteer(hub.url);
  const second = await stage.volunteer(hub.url);
  const asked = ['--model', model, '--prompt', 'the ', '--max-tokens', '24', '--samples', '8'];
  const spread = await generate(stage, hub, ...asked, '--seed', '5', '--samples-per-unit', '1');

  expect(Object.keys(spread).toSorted()).toEqual(
    ['model', 'prompt', 'promptTokens', 'receipts', 'samples', 'seconds', 'tokensPerSecond'].toSorted(),
  );
  expect(spread).toMatchObject({ model, prompt: 'the ', promptTokens: [...Buffer.from('the ')] });
  expect(spread.receipts).toHaveLength(8);
  expect(new Set(textsOf(spread)).size).toBe(8);
  for (const { tokens, finish, logprob } of spread.samples) {
    expect([tokens.length, finish]).toEqual([24, 'length']);
    expect(tokens.every((token) => token < shape.vocabulary)).toBe(true);
    expect(logprob).toBeLessThan(0);
  }
  const sent = [await numberOf(first, 'sent'), await numberOf(second, 'sent')];
  expect(sent[0], 'both tabs have drawn samples').toBeGreaterThan(0);
  expect(sent[1], 'both tabs have drawn samples').toBeGreaterThan(0);
  // New tabs had to fetch the weights, so this number shows a fetch of them where there is one.
  for (const tab of [first, second]) expect(await fetchedBy(tab)).toBeGreaterThanOrEqual(0.97 * weightBytes);

  await second.close();
  await first.reload();
  await startVolunteer(first);
  const again = await generate(stage, hub, ...asked, '--seed', '5', '--samples-per-unit', '3');
  expect(again.samples).toEqual(spread.samples);
  expect(again.receipts).toHaveLength(3);
  // The weights are one chunk, and chunks come whole: the manifest alone was fetched, so not one byte of the weights.
  const manifest = await newestManifestBytes(hub);
  expect(manifest).toBeLessThan(weightBytes / 10);
  expect(Math.abs((await fetchedBy(first)) - manifest)).toBeLessThanOrEqual(50);

  const other = await generate(stage, hub, ...asked, '--seed', '6', '--samples-per-unit', '8');
  for (const [index, text] of textsOf(other).entries()) expect(text).not.toBe(textsOf(spread)[index]);
  console.log(
    `8 samples of 24 tokens: ${spread.tokensPerSecond.toFixed(1)} tokens/s on two tabs (${sent.join(' + ')} units), ` +
      `${again.tokensPerSecond.toFixed(1)} on one; weights ${weightBytes} bytes, the second time only a manifest of ` +
      `${manifest} was fetched; for example ${JSON.stringify(spread.samples[0]?.text)}`,
  );
});

const data = join(root, '..', 'shared', 'data');

test('stories260K: a tab of the swarm draws the 200 tokens that llama2.c does, for both prompts', async ({ stage }) => {
  test.skip(!existsSync(join(data, 'stories260K')), '../shared/data/stories260K is absent');
  const oracle = JSON.parse(readFileSync(join(data, 'oracle', 'stories260K_greedy.json'), 'utf8')) as {
    readonly runs: readonly { prompt: string; prompt_tokens: number[]; tokens: number[]; text: string }[];
  };
  expect(oracle.runs.map(({ prompt }) => prompt)).toEqual(['', 'Once upon a time']);
  const hub = await stage.hub();
  const tab = await stage.volunteer(hub.url);
  const folder = join(data, 'stories260K');
  const model = ['--model', join(folder, 'stories260K.bin'), '--tokenizer', join(folder, 'tok512.bin')];
  for (const run of oracle.runs) {
    const expected = run.tokens.slice(run.prompt_tokens.length);
    const words = ['--prompt', run.prompt, '--temperature', '0', '--max-tokens', String(expected.length)];
    const summary = await generate(stage, hub, ...model, ...words);
    expect(summary.promptTokens).toEqual(run.prompt_tokens);
    expect(summary.samples.map(({ tokens }) => tokens)).toEqual([expected]);
    expect(summary.promptTokens.length + expected.length).toBe(201);
    console.log(`"${run.prompt}": ${expected.length} tokens, ${summary.tokensPerSecond.toFixed(1)} tokens/s`);
  }
  expect(await numberOf(tab, 'sent')).toBe(2);
});

/** The payload of all chunks that this tab fetched since Start, as exactly as the page shows it: two digits at least. */
async function fetchedBy(tab: Page): Promise<number> {
  const text = await tab.locator('[data-number="fetched"]').innerText();
  const [, value, unit] = /^([\d.]+) (B|kB|MB)$/.exec(text) ?? [];
  return Number(value) * { B: 1, kB: 1e3, MB: 1e6 }[unit as 'B' | 'kB' | 'MB'];
}

/** A job is named by the digest of its manifest, which lies among the hub's chunks. */
async function newestManifestBytes(hub: Hub): Promise<number> {
  const job = (await hub.jobs()).at(-1)?.job ?? '';
  const folder = join(hub.data, 'chunks', job.slice(0, 2));
  expect(await readdir(folder)).toContain(job);
  return (await stat(join(folder, job))).size;
}
