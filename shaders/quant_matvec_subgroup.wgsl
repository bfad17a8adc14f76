// The invocations' sums meet by subgroup operations first, and in shared memory once.

// One for each subgroup; there are at least four invocations in one.
var<workgroup> shares: array<vec4f, workgroup_size / 4u>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let quarter = (args.columns + 3u) / 4u;
  let row = index / quarter;
  let columns = vec4u(index % quarter * 4u) + vec4u(0u, 1u, 2u, 3u);
  let sum = subgroupAdd(share(min(row, args.rows - 1u), columns, lane));
  if (subgroup_lane == 0u) {
    shares[lane / subgroup_size] = sum;
  }
  workgroupBarrier();
  if (row >= args.rows || lane >= 4u) {
    return;
  }
  var sum_of_column = 0.0;
  for (var own = 0u; own < (workgroup_size + subgroup_size - 1u) / subgroup_size; own++) {
    sum_of_column += shares[own][lane];
  }
  store(row, columns[lane], sum_of_column);
}
