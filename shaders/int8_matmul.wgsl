// `main`: an invocation makes 4 rows of 4 columns, the columns a quarter of the width apart. `row`: the same of one row, in
// the same order of sums.

override workgroup_size: u32 = 64;

fn columns_of(first: u32, quarter: u32) -> vec4u {
  return vec4u(first) + vec4u(0u, 1u, 2u, 3u) * quarter;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let row = index / quarter * 4u;
  if (row >= args.rows) {
    return;
  }
  let columns = columns_of(index % quarter, quarter);
  let weight_start = weight_starts(columns);
  let scales_start = scale_starts(columns);
  let start0 = row_start(row + 0u);
  let start1 = row_start(row + 1u);
  let start2 = row_start(row + 2u);
  let start3 = row_start(row + 3u);
  var total0 = vec4f();
  var total1 = vec4f();
  var total2 = vec4f();
  var total3 = vec4f();
  for (var block = 0u; block < args.blocks; block++) {
    let word_end = min(args.words, (block + 1u) * args.block_words);
    var sums0 = vec4i();
    var sums1 = vec4i();
    var sums2 = vec4i();
    var sums3 = vec4i();
    for (var word = block * args.block_words; word < word_end; word++) {
      let words = words_at(weight_start + word);
      sums0 = add_word(input[start0 + word], words, sums0);
      sums1 = add_word(input[start1 + word], words, sums1);
      sums2 = add_word(input[start2 + word], words, sums2);
      sums3 = add_word(input[start3 + word], words, sums3);
    }
    let scales = scales_at(scales_start + block);
    total0 = add_block(row + 0u, block, scales, sums0, total0);
    total1 = add_block(row + 1u, block, scales, sums1, total1);
    total2 = add_block(row + 2u, block, scales, sums2, total2);
    total3 = add_block(row + 3u, block, scales, sums3, total3);
  }
  store(row + 0u, columns, total0);
  store(row + 1u, columns, total1);
  store(row + 2u, columns, total2);
  store(row + 3u, columns, total3);
}

@compute @workgroup_size(workgroup_size)
fn row(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let own = index / quarter;
  if (own >= args.rows) {
    return;
  }
  let columns = columns_of(index % quarter, quarter);
  let weight_start = weight_starts(columns);
  let scales_start = scale_starts(columns);
  let start = row_start(own);
  var total = vec4f();
  for (var block = 0u; block < args.blocks; block++) {
    let word_end = min(args.words, (block + 1u) * args.block_words);
    var sums = vec4i();
    for (var word = block * args.block_words; word < word_end; word++) {
      sums = add_word(input[start + word], words_at(weight_start + word), sums);
    }
    total = add_block(own, block, scales_at(scales_start + block), sums, total);
  }
  store(own, columns, total);
}
