// The invocations' sums meet in a tree of shared memory, whose shape the workgroup's size alone decides.

var<workgroup> shares: array<vec4f, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let quarter = (args.columns + 3u) / 4u;
  let row = index / quarter;
  let first_column = index % quarter * 4u;
  if (row >= args.rows) {
    return;
  }
  shares[lane] = share(row, first_column, lane);
  for (var half = workgroup_size / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      shares[lane] += shares[lane + half];
    }
  }
  workgroupBarrier();
  if (lane < 4u) {
    store(row, first_column + lane, shares[0][lane]);
  }
}
