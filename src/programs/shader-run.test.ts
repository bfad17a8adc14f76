/** How a unit is cut into pieces and how budgets grow, with a device whose time is made up. */

import { describe, expect, test } from 'vitest';
import type { Grid } from '../kernels/grid.ts';
import { createLoopBudget } from './loop-budget.ts';
import type { RewrittenShader } from './shader-rewrite.ts';
import { groupsOf, slicesOf } from './slices.ts';

const rewritten: RewrittenShader = {
  wgsl: '',
  sliceBinding: 64,
  spentBinding: 65,
  loops: ['a.wgsl:3:1', 'a.wgsl:9:1'],
  counters: 1,
  isOneLoop: false,
};

describe('slices', () => {
  test.each<[Grid, number]>([
    [[1, 1, 1], 1],
    [[7, 5, 3], 1],
    [[7, 5, 3], 4],
    [[7, 5, 3], 14],
    [[7, 5, 3], 40],
    [[65535, 2, 1], 1000],
    [[7, 5, 3], 1000],
  ])('of %j, at most %i workgroups each, cover every workgroup once and in order', (grid, most) => {
    const [x, y] = grid;
    let next = 0;
    for (const { offset, size } of slicesOf(grid, () => most)) {
      expect(offset[0] + x * (offset[1] + y * offset[2])).toBe(next);
      expect(groupsOf(size)).toBeLessThanOrEqual(Math.max(1, most));
      next += groupsOf(size);
    }
    expect(next).toBe(groupsOf(grid));
  });
});

describe('a budget', () => {
  const spent = { loop: 2, ms: 1, groups: 1, usedMs: 5 };

  test('grows eightfold while there is time, then names loop, rounds and mend', () => {
    const budget = createLoopBudget(rewritten, 10, undefined);
    const first = budget.rounds;
    budget.spent(spent);
    expect(budget.rounds).toBe(8 * first);
    expect(() => budget.spent({ ...spent, usedMs: 10_000 })).toThrow(
      `a.wgsl:9:1: this loop did not end within ${8 * first} rounds and 10.0 s; its job allows 10 s (limits.unitSeconds): see that it ends, or raise the limit`,
    );
  });

  test('ends where one dispatch would take too long, but tries single workgroups before', () => {
    const budget = createLoopBudget(rewritten, 100, undefined);
    const first = budget.rounds;
    budget.spent({ ...spent, ms: 800, groups: 16 });
    expect([budget.rounds, budget.isCareful]).toEqual([first, true]);
    expect(() => budget.spent({ ...spent, ms: 800 })).toThrow('which took this device 0.8 s in one dispatch');
  });

  test('stays below what a device that ends loops by itself can be trusted with, and says whose fault it is', () => {
    const budget = createLoopBudget(rewritten, 100, 65_535);
    expect(budget.rounds).toBe(8191);
    expect(() => budget.spent(spent)).toThrow(
      /^this device cannot run it: a\.wgsl:9:1: .* \(its limit is 65535\); cut the work into more steps$/,
    );
    expect(createLoopBudget({ ...rewritten, isOneLoop: true }, 100, 65_535).rounds).toBe(65_534);
    expect(createLoopBudget({ ...rewritten, counters: 4 }, 100, 65_535).rounds).toBe(2047);
  });
});
