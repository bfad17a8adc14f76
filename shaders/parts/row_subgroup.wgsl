// One subgroup a row: the first of each workgroup, so that workgroup_size is best the subgroup's own size. Its twin
// row_group.wgsl gives the same functions in plain WGSL.

enable subgroups;
// The lanes that leave early are whole subgroups, which the compiler cannot know.
diagnostic(off, subgroup_uniformity);

override workgroup_size: u32 = 32;
// Rows of a subgroup, in kernels that do several for one reading of a weight: up to 4.
override rows_each: u32 = 1;

struct Invocation {
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
}

// Which row an invocation works on, and as which of how many lanes.
struct RowLane {
  row: u32,
  lane: u32,
  lanes: u32,
  // Whether the row is there to be stored.
  is_real: bool,
}

fn row_lane(invocation: Invocation, rows: u32) -> RowLane {
  let row = (invocation.group.y * invocation.groups.x + invocation.group.x) * rows_each;
  return RowLane(row, invocation.local, min(invocation.subgroup_size, workgroup_size), row < rows);
}

// Whether this lane may leave before the sums.
fn is_idle(mine: RowLane) -> bool {
  return !mine.is_real || mine.lane >= mine.lanes;
}

// How many rows from its own on are this invocation's work.
fn rows_here(mine: RowLane, rows: u32) -> u32 {
  if (rows_each == 1u) {
    return 1u;
  }
  return min(rows_each, rows - mine.row);
}

// The sum over the lanes of a row.
fn row_sum(own: f32, mine: RowLane) -> f32 {
  return subgroupAdd(own);
}

// Two such sums at once.
fn row_sums(own: vec2f, mine: RowLane) -> vec2f {
  return subgroupAdd(own);
}

// The largest over the lanes of a row.
fn row_largest(own: f32, mine: RowLane) -> f32 {
  return subgroupMax(own);
}
