/**
 * Every kernel of the corpus gives the same bytes rewritten as it is, whole and in slices, on a GPU in Node. The same in
 * Chromium: `e2e/strangers-shaders.spec.ts`.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareKernel, type CorpusOptions } from '../../e2e/support/corpus.ts';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';

const folder = new URL('../../e2e/shaders/corpus/', import.meta.url);
const corpus = readdirSync(folder).map((name): [string, string] => [name, readFileSync(new URL(name, folder), 'utf8')]);
const withGpu = test.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1');
let gpu: GPU | undefined;
let opened: OpenedDevice | undefined;

beforeAll(async () => {
  if (process.env['TABSWARM_NODE_GPU'] !== '1') return;
  gpu = await openNodeGpu();
  opened = await openDevice(gpu);
});
afterAll(() => {
  opened?.close();
  if (gpu !== undefined) closeNodeGpu(gpu);
});

/** The kernels that did not come out equal, with what happened. */
async function wrong(options: CorpusOptions): Promise<Record<string, string>> {
  if (opened === undefined) throw new Error('there is no device');
  const found: Record<string, string> = {};
  for (const [name, wgsl] of corpus) {
    const { outcome } = await compareKernel(opened.device, name, wgsl, options);
    if (outcome !== 'equal' && outcome !== 'skipped') found[name] = outcome;
  }
  return found;
}

test('the corpus has at least 60 kernels', () => expect(corpus.length).toBeGreaterThanOrEqual(60));

withGpu.each<[string, CorpusOptions]>([
  ['whole', { groups: 1_000_000 }],
  ['in slices of three workgroups', { groups: 3 }],
  ['one workgroup at a time, with budgets for loops of constant bounds too', { groups: 1, everyLoop: true }],
])('rewritten kernels give the bytes of the originals, %s', { timeout: 300_000 }, async (_, options) => {
  expect(await wrong(options)).toEqual({});
});

withGpu('a rewriter that forgets the slice offset, or the whole grid, is found out', { timeout: 300_000 }, async () => {
  const withoutOffset = await wrong({
    groups: 3,
    mutate: (text) => text.replaceAll('tabswarm_slice[0].xyz', 'vec3u(0u)'),
  });
  expect(Object.keys(withoutOffset).length).toBeGreaterThan(40);
  const withoutGrid = await wrong({
    groups: 3,
    mutate: (text) => text.replaceAll('tabswarm_slice[1].xyz', 'tabswarm_slice[2].xyz'),
  });
  expect(Object.keys(withoutGrid)).toEqual(
    expect.arrayContaining(['builtin_num_workgroups.wgsl', 'builtin_grid_stride.wgsl']),
  );
});

withGpu(
  'a budget of one round is spent by kernels that loop, and never by those that do not',
  { timeout: 300_000 },
  async () => {
    const cut = await wrong({ groups: 1_000_000, budget: 1 });
    expect(cut['while_collatz.wgsl']).toBe('spent its budget at while_collatz.wgsl:9:3');
    expect(cut['builtin_workgroup_id.wgsl']).toBeUndefined();
  },
);
