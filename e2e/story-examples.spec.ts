/** The examples that a developer copies, run through a swarm of two tabs and held against their truths. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import { check as checkRender } from '../examples/render/render-truth.ts';
import { check as checkSearch } from '../examples/search/search-truth.ts';
import { check as checkSum } from '../examples/sum/sum-truth.ts';
import { root, test } from './support/story.ts';

async function readOutputs(out: string): Promise<Map<number, Uint8Array>> {
  const names = (await readdir(out)).filter((name) => /^\d{6}\.bin$/.test(name));
  return new Map(
    await Promise.all(
      names.map(async (name): Promise<[number, Uint8Array]> => [parseInt(name, 10), await readFile(join(out, name))]),
    ),
  );
}

test('the examples render, search and sum: two tabs agree on each, and each passes its own check', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  for (let count = 0; count < 2; count++) await stage.volunteer(hub.url);
  const run = async (example: string) => {
    const out = join(folder, example.replaceAll('/', '-'));
    const path = join(root, 'examples', `${example}.json`);
    const summary = await stage.json('submit', path, '--hub', hub.url, '--data', folder, '--out', out);
    expect(summary, example).toMatchObject({ state: 'done', disagreements: 0 });
    expect(summary['accepted']).toBe(summary['units']);
    return { out, outputs: await readOutputs(out) };
  };
  await test.step('search', async () => {
    expect(checkSearch((await run('search/search')).outputs)).toBeUndefined();
  });
  await test.step('sum, reduced to one output', async () => {
    const { out, outputs } = await run('sum/sum');
    expect(checkSum(outputs, await readFile(join(out, 'reduced.bin')))).toBeUndefined();
  });
  await test.step('render', async () => {
    const { outputs } = await run('render/render-quick');
    expect(checkRender(outputs, undefined, 4)).toBeUndefined();
  });
});
