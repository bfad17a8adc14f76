// output[row, column] = input[row] . weight[column] (+ bias) (+ output), weights in blocks of 32 as `quant-blocks.ts` packs
// them. An invocation makes four columns, a quarter of all apart, of one row, so that each input is read once for four
// weights: what software adapters want. Each sum is that of its blocks' sums.

override workgroup_size: u32 = 64;
// 4: q4_0. 8: q8_0.
override bits: u32 = 4;

struct Arguments {
  input_offset: u32,
  quants_offset: u32,
  scales_offset: u32,
  bias_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  blocks: u32,
  has_bias: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> quants: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn four_at(place: u32) -> vec4f {
  return vec4f(input[place], input[place + 1u], input[place + 2u], input[place + 3u]);
}

fn scale_of(block: u32) -> f32 {
  return unpack2x16float(scales[args.scales_offset + block / 2u] >> (16u * (block % 2u))).x;
}

// Sum plus a word's bytes, as signed numbers, times four inputs; the same for the nibbles of its bytes, first the low ones.
fn add_bytes(word: u32, x: vec4f, sum: f32) -> f32 {
  let q = vec4f(bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
  return fma(q.w, x.w, fma(q.z, x.z, fma(q.y, x.y, fma(q.x, x.x, sum))));
}

fn add_nibbles(word: u32, x_low: vec4f, x_high: vec4f, sum: f32) -> f32 {
  let low = vec4f(bitcast<vec4i>(vec4u(word) << vec4u(28u, 20u, 12u, 4u)) >> vec4u(28u));
  let high = vec4f(bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(28u));
  let half = fma(low.w, x_low.w, fma(low.z, x_low.z, fma(low.y, x_low.y, fma(low.x, x_low.x, sum))));
  return fma(high.w, x_high.w, fma(high.z, x_high.z, fma(high.y, x_high.y, fma(high.x, x_high.x, half))));
}

// Sums of four columns plus one word of each times the inputs that belong to it.
fn add_words(place: vec4u, at: u32, sums: vec4f) -> vec4f {
  let x = four_at(at);
  let words = vec4u(quants[place.x], quants[place.y], quants[place.z], quants[place.w]);
  if (bits == 8u) {
    return vec4f(
      add_bytes(words.x, x, sums.x),
      add_bytes(words.y, x, sums.y),
      add_bytes(words.z, x, sums.z),
      add_bytes(words.w, x, sums.w),
    );
  }
  let x_high = four_at(at + 16u);
  return vec4f(
    add_nibbles(words.x, x, x_high, sums.x),
    add_nibbles(words.y, x, x_high, sums.y),
    add_nibbles(words.z, x, x_high, sums.z),
    add_nibbles(words.w, x, x_high, sums.w),
  );
}

fn store(row: u32, column: u32, sum: f32) {
  if (column >= args.columns) {
    return;
  }
  var value = sum;
  if (args.has_bias != 0u) {
    value += bias[args.bias_offset + column];
  }
  let place = args.output_offset + row * args.columns + column;
  if (args.accumulate != 0u) {
    value += output[place];
  }
  output[place] = value;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let row = index / quarter;
  if (row >= args.rows) {
    return;
  }
  let words_of_block = select(8u, 4u, bits == 4u);
  let columns = vec4u(index % quarter) + vec4u(0u, 1u, 2u, 3u) * quarter;
  // Beyond the edge, the last column is read again and not stored.
  var block = min(columns, vec4u(args.columns - 1u)) * args.blocks;
  var place = args.quants_offset + block * words_of_block;
  var at = args.input_offset + row * args.blocks * 32u;
  var totals = vec4f();
  for (var step = 0u; step < args.blocks; step++) {
    var sums = add_words(place, at, vec4f());
    sums = add_words(place + 1u, at + 4u, sums);
    sums = add_words(place + 2u, at + 8u, sums);
    sums = add_words(place + 3u, at + 12u, sums);
    if (bits == 8u) {
      sums = add_words(place + 4u, at + 16u, sums);
      sums = add_words(place + 5u, at + 20u, sums);
      sums = add_words(place + 6u, at + 24u, sums);
      sums = add_words(place + 7u, at + 28u, sums);
    }
    let scale = vec4f(scale_of(block.x), scale_of(block.y), scale_of(block.z), scale_of(block.w));
    totals = fma(sums, scale, totals);
    block += vec4u(1u);
    place += vec4u(words_of_block);
    at += 32u;
  }
  store(row, columns.x, totals.x);
  store(row, columns.y, totals.y);
  store(row, columns.z, totals.z);
  store(row, columns.w, totals.w);
}
