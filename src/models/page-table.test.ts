/** Pages of a cache: every one has as many owners as sequences hold it, whatever comes and goes. */

import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { createPageTable, type PageTable } from './page-table.ts';

describe('a page table', () => {
  test('gives all pages at once, tells what is lacking, and takes them back', () => {
    const table = createPageTable({ pages: 4, pageTokens: 8, slots: 2 });
    expect(table.open(1, 17)?.pages).toEqual([0, 1, 2]);
    expect(table.open(2, 9)).toBeUndefined();
    expect([table.pagesFree, table.slotsFree]).toEqual([1, 1]);
    expect(table.open(3, 8)?.pages).toEqual([3]);
    table.close(1);
    expect([table.pagesFree, table.slotsFree]).toEqual([3, 1]);
    table.close(1);
    expect([table.pagesFree, table.slotsFree]).toEqual([3, 1]);
    expect(() => table.open(3, 8)).toThrow('sequence 3 is open already');
    expect(() => table.open(4, 8, { of: 1, tokens: 3 })).toThrow('sequence 1, a prefix, is not open');
  });

  test('keeps a shared prefix once, copies the page where it ends, and frees it with its last owner', () => {
    const table = createPageTable({ pages: 8, pageTokens: 8, slots: 4 });
    table.open(1, 24);
    expect(table.pagesFor(32, { of: 1, tokens: 20 })).toBe(2);
    const opened = table.open(2, 32, { of: 1, tokens: 20 });
    expect(opened).toMatchObject({ pages: [0, 1, 3, 4], copied: { from: 2, to: 3 }, sharedTokens: 16 });
    expect(table.open(3, 16, { of: 2, tokens: 16 })).toEqual({ slot: 2, pages: [0, 1], sharedTokens: 16 });
    table.close(1);
    expect(table.pagesFree).toBe(4);
    table.close(2);
    table.close(3);
    expect(table.pagesFree).toBe(8);
  });

  test.each([1, 2, 3, 4, 5])('loses no page and gives none twice, seed %i', (seed) => {
    const random = createRandom(seed);
    const pageTokens = 4;
    const table = createPageTable({ pages: 40, pageTokens, slots: 12 });
    const lengths = new Map<number, number>();
    for (let event = 0; event < 2000; event++) {
      const open = [...lengths.keys()];
      const some = open[random.below(open.length)];
      if (random.next() < 0.4 && some !== undefined) {
        table.close(some);
        lengths.delete(some);
      } else {
        const tokensMax = 1 + random.below(30);
        const tokens = Math.min(tokensMax, random.below((some === undefined ? 0 : (lengths.get(some) ?? 0)) + 1));
        const prefix = some !== undefined && random.next() < 0.5 ? { of: some, tokens } : undefined;
        if (table.open(event, tokensMax, prefix) !== undefined) lengths.set(event, tokensMax);
      }
      check(table, [...lengths.keys()], lengths, pageTokens);
    }
    for (const sequence of lengths.keys()) table.close(sequence);
    expect([table.pagesFree, table.slotsFree]).toEqual([40, 12]);
  });
});

function check(
  table: PageTable,
  open: readonly number[],
  lengths: ReadonlyMap<number, number>,
  pageTokens: number,
): void {
  const counted = new Array<number>(40).fill(0);
  for (const sequence of open) {
    const pages = table.find(sequence)?.pages ?? [];
    if (pages.length !== Math.ceil((lengths.get(sequence) ?? 0) / pageTokens))
      throw new Error(`sequence ${sequence} lacks pages`);
    for (const page of pages) counted[page] = (counted[page] ?? 0) + 1;
  }
  if (counted.join() !== table.owners().join()) throw new Error('owners do not add up');
  if (table.pagesFree !== counted.filter((owners) => owners === 0).length) throw new Error('a page is lost');
  const slots = open.map((sequence) => table.find(sequence)?.slot);
  if (new Set(slots).size !== open.length) throw new Error('a slot was given twice');
}
