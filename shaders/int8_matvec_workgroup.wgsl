// A workgroup makes four columns of one row: neighbouring invocations read neighbouring words, and their sums meet in
// shared memory.

override workgroup_size: u32 = 64;

// This invocation's share: every workgroup_size-th word, scaled at once.
fn share(row: u32, columns: vec4u, lane: u32) -> vec4f {
  let weight_start = weight_starts(columns);
  let scales_start = scale_starts(columns);
  let start = row_start(row);
  var total = vec4f();
  for (var word = lane; word < args.words; word += workgroup_size) {
    let block = word / args.block_words;
    let sums = add_word(input[start + word], words_at(weight_start + word), vec4i());
    total = add_block(row, block, scales_at(scales_start + block), sums, total);
  }
  return total;
}

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
    store(row, columns, sums);
  }
}
