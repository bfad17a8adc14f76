// output[row, column] = input[row] . weight[column] (+ bias) (+ output), weights in blocks of 32 as `quant-blocks.ts` packs
// them. As quant_matvec_workgroup.wgsl, but sums meet by subgroup operations first and in shared memory once.

enable subgroups;

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
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> quants: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

// One for each subgroup; there are at least four invocations in one.
var<workgroup> shares: array<vec4f, workgroup_size / 4u>;

// Bytes of a word as signed numbers; the same of the low and the high nibbles of its bytes.
fn bytes(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));
}

// A nibble in place in the mantissa of 2^23 is 2^23 + 16^n nibble: no conversion, which GPUs do at a quarter of the rate.
// The XOR makes -8 .. 7 count from 0, and what is taken off afterwards turns that back; every step is exact.
fn low_nibbles(word: u32) -> vec4f {
  let low = vec4u(word & 0xfu, word & 0xf00u, (word >> 16u) & 0xfu, (word >> 16u) & 0xf00u);
  let marked = bitcast<vec4f>(low ^ vec4u(0x4b000008u, 0x4b000800u, 0x4b000008u, 0x4b000800u));
  return fma(marked, vec4f(1.0, 0.00390625, 1.0, 0.00390625), vec4f(-8388616.0, -32776.0, -8388616.0, -32776.0));
}

fn high_nibbles(word: u32) -> vec4f {
  return low_nibbles(word >> 4u);
}

fn scale_of(block: u32) -> f32 {
  return unpack2x16float(scales[args.scales_offset + block / 2u] >> (16u * (block % 2u))).x;
}

// The products of word `step` of a column's quants with the row's inputs there, scaled.
fn word_sums(block: u32, step: u32, x0: vec4f, x1: vec4f, sums: vec4f) -> vec4f {
  let words_of_block = select(8u, 4u, bits == 4u);
  let word = quants[args.quants_offset + block * words_of_block + step];
  let scale = vec4f(scale_of(block + step / words_of_block));
  if (bits == 8u) {
    return fma(bytes(word) * x0, scale, sums);
  }
  return fma(fma(high_nibbles(word), x1, low_nibbles(word) * x0), scale, sums);
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

// This invocation's share of four columns of a row: every workgroup_size-th word.
fn share(row: u32, first_column: u32, lane: u32) -> vec4f {
  let words_of_block = select(8u, 4u, bits == 4u);
  // Beyond the edge, the last column is read again and not stored.
  let block = min(vec4u(first_column) + vec4u(0u, 1u, 2u, 3u), vec4u(args.columns - 1u)) * args.blocks;
  let start = args.input_offset / 4u + row * args.blocks * 8u;
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  for (var step = lane; step < args.blocks * words_of_block; step += workgroup_size) {
    let x = start + step / words_of_block * 8u + step % words_of_block;
    let x0 = input[x];
    var x1 = x0;
    if (bits == 4u) {
      x1 = input[x + 4u];
    }
    sums0 = word_sums(block.x, step, x0, x1, sums0);
    sums1 = word_sums(block.y, step, x0, x1, sums1);
    sums2 = word_sums(block.z, step, x0, x1, sums2);
    sums3 = word_sums(block.w, step, x0, x1, sums3);
  }
  return vec4f(dot_ones(sums0), dot_ones(sums1), dot_ones(sums2), dot_ones(sums3));
}

fn dot_ones(sums: vec4f) -> f32 {
  return (sums.x + sums.y) + (sums.z + sums.w);
}

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
  let first_column = index % quarter * 4u;
  let sum = subgroupAdd(share(min(row, args.rows - 1u), first_column, lane));
  if (subgroup_lane == 0u) {
    shares[lane / subgroup_size] = sum;
  }
  workgroupBarrier();
  if (row >= args.rows || lane >= 4u) {
    return;
  }
  var total = 0.0;
  for (var own = 0u; own < (workgroup_size + subgroup_size - 1u) / subgroup_size; own++) {
    total += shares[own][lane];
  }
  store(row, first_column + lane, total);
}
