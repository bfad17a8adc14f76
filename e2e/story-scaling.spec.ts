/**
 * Many samples over many tabs: the small network that adds is asked the same by four tabs and by one, and says the same,
 * sample by sample; more samples solve more; and a verifier that is a shader job picks a right one.
 */

import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import type { EvaluateSummary } from '../src/node/evaluate-summary.ts';
import type { GenerateSummary } from '../src/node/generate-run.ts';
import type { ChosenSample } from '../src/node/choose-sample.ts';
import { numberOf, root, test, type Hub, type Stage } from './support/story.ts';

const folder = join(root, 'examples', 'addition');
const problems = 3;
const asked = ['--model', join(folder, 'checkpoint'), '--max-tokens', '14', '--stop', '\n', '--seed', '1'];
const sampling = ['--samples', '64', '--temperature', '0.8', '--top-p', '1'];

/** The samples that `tabswarm evaluate` leaves, in their order, and its summary. */
async function evaluate(stage: Stage, hub: Hub, set: string, ...words: readonly string[]) {
  const out = join(await stage.folder(), 'out');
  const common = ['--hub', hub.url, '--data', hub.data, '--out', out, '--answer-pattern', '=(\\d+)', '--json'];
  const command = stage.command('evaluate', set, ...asked, ...sampling, ...common, ...words);
  expect(await command.ended, command.stderr()).toBe(0);
  const lines = (await readFile(join(out, 'samples.jsonl'), 'utf8')).trimEnd().split('\n');
  const samples = lines.map((line) => JSON.parse(line) as { problem: number; sample: number; budget: number | null });
  const plot = await readFile(join(out, 'coverage.svg'), 'utf8');
  return {
    samples: samples.toSorted(
      (x, y) => x.problem - y.problem || (x.budget ?? -1) - (y.budget ?? -1) || x.sample - y.sample,
    ),
    summary: JSON.parse(command.stdout()) as EvaluateSummary,
    plot,
  };
}

test('four tabs draw the samples that one tab draws, and more of them solve more problems', async ({ stage }) => {
  const hub = await stage.hub();
  const set = join(await stage.folder(), 'problems.jsonl');
  const lines = readFileSync(join(folder, 'problems.jsonl'), 'utf8').split('\n');
  await writeFile(set, lines.slice(0, problems).join('\n'));
  const first = await stage.volunteer(hub.url);
  const others = await Promise.all([1, 2, 3].map(() => stage.volunteer(hub.url)));
  const verifier = ['--verifier', join(folder, 'check-sum.mjs')];
  const thinking = ['--think', '8', '--think-end', '=', '--think-samples', '1'];
  const spread = await evaluate(stage, hub, set, ...verifier, ...thinking, '--samples-per-unit', '8');
  const worked = await Promise.all([first, ...others].map((tab) => numberOf(tab, 'sent')));
  // A busy machine may leave a tab without any of 24 units.
  expect(worked.filter((units) => units > 0).length, 'several tabs have drawn samples').toBeGreaterThan(1);

  const { coverage, selections, distinct, thinking: thought } = spread.summary;
  expect(spread.samples).toHaveLength(problems * (64 + 1));
  expect(coverage.map(({ k }) => k)).toEqual([1, 2, 4, 8, 16, 32, 64]);
  for (const [index, { coverage: share }] of coverage.slice(1).entries())
    expect(share).toBeGreaterThanOrEqual(coverage[index]?.coverage ?? 1);
  const [one = 0, all = 0] = [coverage[0]?.coverage, coverage.at(-1)?.coverage];
  expect(all).toBeGreaterThanOrEqual(one + 0.15);
  expect(selections.majority?.at(-1)?.accuracy).toBeLessThanOrEqual(all);
  expect(selections.verifier?.at(-1)?.accuracy).toBe(all);
  expect(distinct).toBeGreaterThan(0.2);
  expect(thought.map(({ budget }) => budget)).toEqual([8]);
  expect(spread.plot).toContain('any sample (coverage)');

  for (const tab of others) await tab.close();
  const alone = await evaluate(stage, hub, set, ...verifier, ...thinking, '--samples-per-unit', '64');
  expect(alone.samples).toEqual(spread.samples);
  expect(alone.summary.coverage).toEqual(coverage);

  const words = ['--select', 'verifier', '--verifier', join(folder, 'check-sum.json')];
  const prompt = (JSON.parse(lines[0] ?? '') as { prompt: string }).prompt;
  const chosen = (await stage.json(
    ...['generate', '--hub', hub.url, '--data', hub.data, '--prompt', prompt],
    ...[...asked, '--samples', '16', '--samples-per-unit', '16', '--temperature', '0.8', ...words],
  )) as Record<string, unknown> & Partial<GenerateSummary & { selected: ChosenSample }>;
  expect(chosen.samples).toHaveLength(16);
  expect(chosen.selected).toMatchObject({ by: 'verifier' });
  console.log(
    `units of the four tabs: ${worked.join(', ')}; pass@1 ${one.toFixed(3)}, pass@64 ${all.toFixed(3)}; the shader chose ` +
      JSON.stringify(chosen.selected),
  );
});
