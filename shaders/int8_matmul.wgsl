// output[row, column] = sum over blocks of input_scale * weight_scale * (input . weight), four int8 in each word, sums within a
// block in i32 and exact. `main`: an invocation makes 4 rows of 4 columns, the columns a quarter of the width apart. `row`: the
// same of one row, in the same order of sums. Words are unpacked by shifts, for languages without a packed dot product.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  input_scales_offset: u32,
  weight_offset: u32,
  weight_scales_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  words: u32,
  block_words: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> input_scales: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<u32>;
@group(0) @binding(4) var<storage, read> weight_scales: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn bytes(word: u32) -> vec4i {
  return bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u);
}

fn add_word(input_word: u32, words: vec4u, sums: vec4i) -> vec4i {
  let four = bytes(input_word);
  return sums + vec4i(
    dot(four, bytes(words.x)),
    dot(four, bytes(words.y)),
    dot(four, bytes(words.z)),
    dot(four, bytes(words.w)),
  );
}

// Beyond the edge, the last column is read again and not stored.
fn columns_of(first: u32) -> vec4u {
  return vec4u(first) + vec4u(0u, 1u, 2u, 3u) * ((args.columns + 3u) / 4u);
}

fn words_at(place: vec4u) -> vec4u {
  return vec4u(weight[place.x], weight[place.y], weight[place.z], weight[place.w]);
}

fn scales_at(place: vec4u) -> vec4f {
  return vec4f(weight_scales[place.x], weight_scales[place.y], weight_scales[place.z], weight_scales[place.w]);
}

// Total plus a block's sums.
fn add_block(row: u32, block: u32, scales: vec4f, sums: vec4i, total: vec4f) -> vec4f {
  let scale = input_scales[args.input_scales_offset + row * args.blocks + block];
  return fma(vec4f(sums), scale * scales, total);
}

fn store(row: u32, columns: vec4u, sum: vec4f) {
  if (row >= args.rows) {
    return;
  }
  for (var index = 0u; index < 4u; index++) {
    if (columns[index] < args.columns) {
      output[args.output_offset + row * args.columns + columns[index]] = sum[index];
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let first_row = index / quarter * 4u;
  if (first_row >= args.rows) {
    return;
  }
  let columns = columns_of(index % quarter);
  let inside = min(columns, vec4u(args.columns - 1u));
  let weight_start = args.weight_offset + inside * args.words;
  let scales_start = args.weight_scales_offset + inside * args.blocks;
  let last_row = args.rows - 1u;
  let row0 = min(first_row + 0u, last_row);
  let row1 = min(first_row + 1u, last_row);
  let row2 = min(first_row + 2u, last_row);
  let row3 = min(first_row + 3u, last_row);
  let start0 = args.input_offset + row0 * args.words;
  let start1 = args.input_offset + row1 * args.words;
  let start2 = args.input_offset + row2 * args.words;
  let start3 = args.input_offset + row3 * args.words;
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
    total0 = add_block(row0, block, scales, sums0, total0);
    total1 = add_block(row1, block, scales, sums1, total1);
    total2 = add_block(row2, block, scales, sums2, total2);
    total3 = add_block(row3, block, scales, sums3, total3);
  }
  store(first_row + 0u, columns, total0);
  store(first_row + 1u, columns, total1);
  store(first_row + 2u, columns, total2);
  store(first_row + 3u, columns, total3);
}

@compute @workgroup_size(workgroup_size)
fn row(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let first_row = index / quarter;
  if (first_row >= args.rows) {
    return;
  }
  let columns = columns_of(index % quarter);
  let inside = min(columns, vec4u(args.columns - 1u));
  let weight_start = args.weight_offset + inside * args.words;
  let scales_start = args.weight_scales_offset + inside * args.blocks;
  let row0 = first_row;
  let start0 = args.input_offset + row0 * args.words;
  var total0 = vec4f();
  for (var block = 0u; block < args.blocks; block++) {
    let word_end = min(args.words, (block + 1u) * args.block_words);
    var sums0 = vec4i();
    for (var word = block * args.block_words; word < word_end; word++) {
      let words = words_at(weight_start + word);
      sums0 = add_word(input[start0 + word], words, sums0);
    }
    let scales = scales_at(scales_start + block);
    total0 = add_block(row0, block, scales, sums0, total0);
  }
  store(first_row, columns, total0);
}
