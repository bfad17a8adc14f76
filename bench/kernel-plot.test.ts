/** The picture of a race: speeds as multiples of the best peer's, whichever way a unit counts, and an SVG that shows every library. */

import { expect, test } from 'vitest';
import { plotRace, speedsOf } from './kernel-plot.ts';

const rates = {
  name: 'matmul512',
  unit: 'GFLOP/s',
  ours: 3,
  peers: { 'jax 1.0': 1, 'slow 1.0': 0.25 },
  ratio: 2.9,
  ratios: [2.8, 2.9, 3.1],
};
const times = {
  name: 'softmax1024',
  unit: 'ms',
  ours: 20,
  peers: { 'jax 1.0': 70, 'slow 1.0': 140 },
  ratio: 3.5,
  ratios: [3.4, 3.5, 3.6],
};

test('a rate is faster when it is higher, a time when it is lower', () => {
  expect([...speedsOf(rates, 'higher')]).toEqual([
    ['ours', 2.9],
    ['jax 1.0', 1],
    ['slow 1.0', 0.25],
  ]);
  expect([...speedsOf(times, 'lower')]).toEqual([
    ['ours', 3.5],
    ['jax 1.0', 1],
    ['slow 1.0', 0.5],
  ]);
});

test('the picture names every case and library, and our ratio', () => {
  const svg = plotRace('an adapter', [
    { ...rates, better: 'higher' },
    { ...times, better: 'lower' },
  ]);
  expect(svg).toMatch(/^<svg/);
  for (const word of ['an adapter', 'matmul512', 'softmax1024', 'ours', 'jax 1.0', 'slow 1.0', '2.90', '3.50']) {
    expect(svg, word).toContain(word);
  }
});
