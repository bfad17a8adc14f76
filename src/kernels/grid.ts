/** Workgroup counts: [x, y, z]. */

export type Grid = readonly [number, number, number];

/** Workgroups that cover `count` invocations, folded into two dimensions where one would pass the limit of 65,535. */
export function gridOf(count: number, workgroupSize: number, perDimensionMax = 65535): Grid {
  const groups = Math.max(1, Math.ceil(count / workgroupSize));
  if (groups <= perDimensionMax) return [groups, 1, 1];
  const rows = Math.ceil(groups / perDimensionMax);
  return [Math.ceil(groups / rows), rows, 1];
}
