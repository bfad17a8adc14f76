/**
 * A grid of workgroups cut into boxes, one after another in the order of the grid: whole planes, else whole rows, else
 * parts of a row. How large a box may be is asked anew for each, as its cost is learned on the way.
 */

import type { Grid } from '../kernels/grid.ts';

export interface Slice {
  /** The first workgroup. */
  readonly offset: Grid;
  /** How many from there, in each direction. */
  readonly size: Grid;
}

export const groupsOf = ([x, y, z]: Grid): number => x * y * z;

/** `groupsMax` is asked before each slice: workgroups that it may have, at least 1. */
export function* slicesOf([x, y, z]: Grid, groupsMax: () => number): Generator<Slice> {
  let done = 0;
  while (done < x * y * z) {
    const most = Math.max(1, Math.floor(groupsMax()));
    const at: Grid = [done % x, Math.floor(done / x) % y, Math.floor(done / (x * y))];
    const size = sizeAt([x, y, z], at, most);
    yield { offset: at, size };
    done += groupsOf(size);
  }
}

/** The largest box from here that is a run of the grid's order. */
function sizeAt([x, y, z]: Grid, [fromX, fromY, fromZ]: Grid, most: number): Grid {
  if (fromX === 0 && fromY === 0 && most >= x * y) return [x, y, Math.min(z - fromZ, Math.floor(most / (x * y)))];
  if (fromX === 0 && most >= x) return [x, Math.min(y - fromY, Math.floor(most / x)), 1];
  return [Math.min(x - fromX, most), 1, 1];
}
