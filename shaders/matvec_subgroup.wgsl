// A subgroup makes a pair of columns of one row. Its sums meet by butterflies, an order that depends on the subgroup's
// size alone.

const workgroup_size = 64u;
// That a workgroup makes, whatever the size of its subgroups.
const pairs = 4u;

// The sum over the subgroup, the same in each of its invocations.
fn together(own: vec3f, size: u32) -> vec3f {
  var sums = own;
  for (var gap = 1u; gap < size; gap *= 2u) {
    sums += subgroupShuffleXor(sums, gap);
  }
  return sums;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(subgroup_size) size: u32,
) {
  let start = (group.y * groups.x + group.x) * pairs;
  let at_once = workgroup_size / size;
  for (var done = 0u; done < pairs; done += at_once) {
    let own = done + local / size;
    // Far beyond the last row where this subgroup has nothing to do.
    let index = select(0xffffffffu, start + own, own < pairs);
    let row = index / row_pairs();
    let first = index % row_pairs();
    let sums = together(share(row, first, lane, size), size);
    if (lane == 0u && row < args.rows) {
      store_pair(row, first, sums.x, sums.y, sums.z);
    }
  }
}
