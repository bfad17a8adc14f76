// A workgroup makes a pair of columns of one row. Its sums meet in the workgroup's memory, in a tree of fixed shape.

const workgroup_size = 64u;

var<workgroup> sums: array<vec3f, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let row = index / row_pairs();
  if (row >= args.rows) {
    return;
  }
  let first = index % row_pairs();
  sums[lane] = share(row, first, lane, workgroup_size);
  for (var gap = workgroup_size / 2u; gap > 0u; gap /= 2u) {
    workgroupBarrier();
    if (lane < gap) {
      sums[lane] += sums[lane + gap];
    }
  }
  if (lane == 0u) {
    store_pair(row, first, sums[0].x, sums[0].y, sums[0].z);
  }
}
