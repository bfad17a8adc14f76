/** The trace of one unit's life passes the stations of the house in order; the walk in `src/README.md` names the same. */

import { expect, it } from 'vitest';
import { scenarios } from './scenarios.ts';
import { simulate } from './simulate.ts';

/** The stations in the order in which a unit first reaches them; `src/README.md` tells the same with links. */
const stations = [
  'sdk',
  'swarm/submitter',
  'protocol/messages',
  'swarm/coordinator',
  'swarm/scheduler',
  'swarm/volunteer',
  'swarm/drive',
  'adapters/store',
  'adapters/worker',
  'adapters/gpu/executor',
  'kernels, shaders',
  'swarm/quorum',
  'swarm/credit',
];

it('the trace of one unit passes the stations of its life in order, and ends with its submitter', () => {
  const scenario = scenarios.get('life-of-a-unit');
  if (scenario === undefined) throw new Error('no such scenario');
  const lines: string[] = [];
  const report = simulate({ scenario, seed: 1, trace: (line) => lines.push(line) });
  expect(report.invariants).toBe('held');
  const places = lines.map((line) => line.slice(13, 38).trim());
  const firsts = [...new Set(places)].filter((place) => stations.includes(place));
  expect(firsts).toEqual(stations);
  expect(lines.at(-1)).toMatch(/swarm\/submitter\s+collects unit 0/);
});

it('a trace can be read as a column: time, place, what happened', () => {
  const scenario = scenarios.get('life-of-a-unit');
  if (scenario === undefined) throw new Error('no such scenario');
  simulate({ scenario, seed: 2, trace: (line) => expect(line).toMatch(/^ *\d+\.\d{3} s {2}\S.{23} \S/) });
});
