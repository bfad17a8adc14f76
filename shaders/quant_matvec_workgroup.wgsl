// The invocations' sums meet in shared memory.

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let quarter = (args.columns + 3u) / 4u;
  let row = index / quarter;
  if (row >= args.rows) {
    return;
  }
  let columns = vec4u(index % quarter * 4u) + vec4u(0u, 1u, 2u, 3u);
  let sums = workgroup_sum(share(row, columns, lane), lane);
  if (lane == 0u) {
    store_four(row, columns, sums);
  }
}
