// A row is shared by `lanes` invocations of a workgroup, a power of two up to its size: plain WGSL with shared memory,
// or none of it with one lane. Its twin row_subgroup.wgsl gives the same functions.

override workgroup_size: u32 = 32;
override lanes: u32 = 32;

struct Invocation {
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
}

// Which row an invocation works on, and as which of how many lanes.
struct RowLane {
  row: u32,
  lane: u32,
  lanes: u32,
  local: u32,
  // Whether the row is there to be stored.
  is_real: bool,
}

var<workgroup> partial: array<f32, workgroup_size>;
var<workgroup> partial_pairs: array<vec2f, workgroup_size>;

// Rows beyond the last compute the last again and store nothing, as all lanes must reach the barriers.
fn row_lane(invocation: Invocation, rows: u32) -> RowLane {
  let first = (invocation.group.y * invocation.groups.x + invocation.group.x) * (workgroup_size / lanes);
  let row = first + invocation.local / lanes;
  return RowLane(min(row, rows - 1u), invocation.local % lanes, lanes, invocation.local, row < rows);
}

// Whether this lane may leave before the sums.
fn is_idle(mine: RowLane) -> bool {
  return false;
}

// How many rows from its own on are this invocation's work, in kernels that do several for one reading of a weight.
fn rows_here(mine: RowLane, rows: u32) -> u32 {
  return 1u;
}

// The sum over the lanes of a row, added in lane order by every lane.
fn row_sum(own: f32, mine: RowLane) -> f32 {
  if (lanes == 1u) {
    return own;
  }
  partial[mine.local] = own;
  workgroupBarrier();
  var sum = 0.0;
  for (var other = mine.local - mine.lane; other < mine.local - mine.lane + lanes; other++) {
    sum += partial[other];
  }
  workgroupBarrier();
  return sum;
}

// Two such sums at once.
fn row_sums(own: vec2f, mine: RowLane) -> vec2f {
  if (lanes == 1u) {
    return own;
  }
  partial_pairs[mine.local] = own;
  workgroupBarrier();
  var sum = vec2f();
  for (var other = mine.local - mine.lane; other < mine.local - mine.lane + lanes; other++) {
    sum += partial_pairs[other];
  }
  workgroupBarrier();
  return sum;
}

// The largest over the lanes of a row.
fn row_largest(own: f32, mine: RowLane) -> f32 {
  if (lanes == 1u) {
    return own;
  }
  partial[mine.local] = own;
  workgroupBarrier();
  var found = own;
  for (var other = mine.local - mine.lane; other < mine.local - mine.lane + lanes; other++) {
    found = max(found, partial[other]);
  }
  workgroupBarrier();
  return found;
}
