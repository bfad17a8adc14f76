/** What the suites `network` and `hub` leave in `bench/results/swarm`: a table for people and the object of `--json`. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../src/node/prepare.mjs';
import { hubAims } from './hub.ts';
import type { MeasuredCase } from './measure.ts';
import { reportOf, shown } from './report.ts';

/** Of a data channel's throughput. */
export const networkAim = 0.9;

/** The paths that were written. */
export function writeSwarm(
  machine: string,
  rounds: number,
  network: readonly MeasuredCase[],
  hub: readonly MeasuredCase[],
): readonly string[] {
  const folder = join(root, 'bench', 'results', 'swarm');
  mkdirSync(folder, { recursive: true });
  const [markdown, json] = [join(folder, 'swarm.md'), join(folder, 'swarm.json')];
  writeFileSync(markdown, swarmDocument(machine, rounds, network, hub));
  const report = { machine, rounds, network: network.map(reportOf), hub: hub.map(reportOf), hubAims };
  writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  return [markdown, json];
}

export function swarmDocument(
  machine: string,
  rounds: number,
  network: readonly MeasuredCase[],
  hub: readonly MeasuredCase[],
): string {
  const linkRows = network.map(({ name, unit, ours, peers, ratio }) => {
    const aim = unit === 'MB/s' ? String(networkAim) : '';
    return `| \`${name}\` | ${shown(ours)} | ${shown(peers['data channel'] ?? NaN)} | ${unit} | ${ratio?.toFixed(2) ?? ''} | ${aim} |`;
  });
  const hubRows = hub.map(
    ({ name, unit, ours }) => `| \`${name}\` | ${Math.round(ours)} | ${unit} | ${hubAims[name] ?? ''} |`,
  );
  return [
    '# Links and the hub',
    '',
    `${machine}; medians of ${rounds} paired rounds, Chromium tabs and Node over loopback. Written by`,
    '`npm run bench -- --suite network,hub`; [benchmarks.md](../../../docs/benchmarks.md) says what is measured.',
    '',
    '| link | ours | data channel | unit | ratio | aim |',
    '|---|---|---|---|---|---|',
    ...linkRows,
    '',
    '| hub | ours | unit | aim |',
    '|---|---|---|---|',
    ...hubRows,
    '',
  ].join('\n');
}
