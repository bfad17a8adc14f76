// output = input x transposed weight (+ bias) (+ output), weights in blocks of 32 as `quant-blocks.ts` packs them, for many
// rows. A workgroup of 16 x 16 makes 64 x 64 outputs; a block's inputs and unpacked weights of the tile lie in shared
// memory, by columns of the tile so that neighbours read neighbouring banks. Every output sums over `inner` in ascending order.

override workgroup_size: u32 = 256;
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

// [element of the block][row or column of the tile].
var<workgroup> tile_input: array<f32, 2048>;
var<workgroup> tile_weight: array<f32, 2048>;

fn scale_of(block: u32) -> f32 {
  return unpack2x16float(scales[args.scales_offset + block / 2u] >> (16u * (block % 2u))).x;
}

fn store_sum(row: u32, column: u32, sum: f32) {
  if (row >= args.rows || column >= args.columns) {
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

// Row `own` of the tile's inputs, eight elements of the block from 8 * part.
fn load_input(first_row: u32, block: u32, own: u32, part: u32) {
  let row = min(first_row + own, args.rows - 1u);
  let at = args.input_offset + (row * args.blocks + block) * 32u + part * 8u;
  for (var element = 0u; element < 8u; element++) {
    tile_input[(part * 8u + element) * 64u + own] = input[at + element];
  }
}

// Column `own` of the tile's weights: one word of nibbles or two words of bytes.
fn load_weight(first_column: u32, block: u32, own: u32, part: u32) {
  let from_block = min(first_column + own, args.columns - 1u) * args.blocks + block;
  let scale = scale_of(from_block);
  for (var element = 0u; element < 8u; element++) {
    let byte = element % 4u;
    if (bits == 4u) {
      let word = quants[args.quants_offset + from_block * 4u + part];
      let up = 28u - 8u * byte - 4u * (element / 4u);
      let weight = f32(bitcast<i32>(word << up) >> 28u) * scale;
      tile_weight[(part * 4u + byte + element / 4u * 16u) * 64u + own] = weight;
    } else {
      let word = quants[args.quants_offset + from_block * 8u + part * 2u + element / 4u];
      let weight = f32(bitcast<i32>(word << (24u - 8u * byte)) >> 24u) * scale;
      tile_weight[(part * 8u + element) * 64u + own] = weight;
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let tiles_across = (args.columns + 63u) / 64u;
  let first_row = index / tiles_across * 64u;
  let first_column = index % tiles_across * 64u;
  if (first_row >= args.rows) {
    return;
  }
  // An invocation's rows and columns lie 16 apart.
  let own_row = lane / 16u;
  let own_column = lane % 16u;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var block = 0u; block < args.blocks; block++) {
    workgroupBarrier();
    load_input(first_row, block, lane % 64u, lane / 64u);
    load_weight(first_column, block, lane % 64u, lane / 64u);
    workgroupBarrier();
    for (var element = 0u; element < 32u; element++) {
      let at = element * 64u + own_column;
      let four = vec4f(tile_weight[at], tile_weight[at + 16u], tile_weight[at + 32u], tile_weight[at + 48u]);
      let left = element * 64u + own_row;
      sum0 = fma(vec4f(tile_input[left + 0u]), four, sum0);
      sum1 = fma(vec4f(tile_input[left + 16u]), four, sum1);
      sum2 = fma(vec4f(tile_input[left + 32u]), four, sum2);
      sum3 = fma(vec4f(tile_input[left + 48u]), four, sum3);
    }
  }
  for (var step = 0u; step < 4u; step++) {
    let column = first_column + own_column + step * 16u;
    store_sum(first_row + own_row + 0u, column, sum0[step]);
    store_sum(first_row + own_row + 16u, column, sum1[step]);
    store_sum(first_row + own_row + 32u, column, sum2[step]);
    store_sum(first_row + own_row + 48u, column, sum3[step]);
  }
}
