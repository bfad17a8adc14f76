/**
 * How keys and values of many sequences share one cache: it is cut into pages of so many positions, and each sequence has a
 * slot, whose list of pages says where its positions lie (Kwon et al., "PagedAttention", SOSP 2023). Rows of one dispatch
 * may be of different sequences and at different positions. Who owns which page is `models/page-table.ts`'s matter.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Tensor } from './kernel.ts';

export interface PagedRows {
  readonly rows: number;
  /** u32 [rows, 2]: of each row its slot, and its position before `advance` is added. */
  readonly places: Tensor;
  /** u32 [slots, pagesEach]: numbers of pages, in the order of positions. */
  readonly pages: Tensor;
  readonly pagesEach: number;
  /** Positions of a page, a multiple of four. */
  readonly pageTokens: number;
  /** Added to every row's position, so that a list of dispatches moves on from step to step; default 0. */
  readonly advance?: number;
}

/** What kernels are told of it. */
export function pagedNumbers({ rows, pagesEach, pageTokens, advance = 0 }: PagedRows) {
  assert(pageTokens % 4 === 0, `a page of ${pageTokens} positions; it must be a multiple of four`);
  return { rows, advance, page_tokens: pageTokens, pages_each: pagesEach };
}

/** Cases: sequences at these positions, one row each, with pages dealt at random. */
export function dealPages(random: Random, positions: readonly number[], pageTokens: number) {
  const pagesEach = Math.max(...positions.map((position) => Math.floor(position / pageTokens) + 1));
  const order = Array.from({ length: positions.length * pagesEach }, (_, page) => page)
    .map((page) => ({ page, by: random.u32() }))
    .toSorted((a, b) => a.by - b.by)
    .map(({ page }) => page);
  // Slots in falling order, so that a row is not its slot.
  const slotOf = (row: number): number => positions.length - 1 - row;
  return {
    pagesEach,
    pageCount: order.length,
    places: Uint32Array.from(positions.flatMap((position, row) => [slotOf(row), position])),
    pages: Uint32Array.from(order),
    /** Which position of the cache holds this position of the row's sequence. */
    storedAt: (row: number, position: number): number => {
      const page = order[slotOf(row) * pagesEach + Math.floor(position / pageTokens)] ?? 0;
      return page * pageTokens + (position % pageTokens);
    },
  };
}
