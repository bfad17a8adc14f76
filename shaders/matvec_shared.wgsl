// A workgroup makes a pair of columns of one row. Its sums meet in shared memory.

const workgroup_size = 64u;

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
  let sums = workgroup_sum(vec4f(share(row, first, lane, workgroup_size), 0.0), lane);
  if (lane == 0u) {
    store_pair(row, first, sums.x, sums.y, sums.z);
  }
}
