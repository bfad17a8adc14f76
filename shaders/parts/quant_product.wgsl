// output[row, column] = input[row] . weight[column] (+ bias) (+ output), weights in blocks of 32 as `quant-blocks.ts` packs
// them: what all shaders of these products bind, how a block's scale is read and a sum stored.

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
  // Elements from one row of output to the next.
  output_stride: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn scale_of(block: u32) -> f32 {
  return unpack2x16float(scales[args.scales_offset + block / 2u] >> (16u * (block % 2u))).x;
}

// Beyond the edges nothing is stored.
fn store(row: u32, column: u32, sum: f32) {
  if (row >= args.rows || column >= args.columns) {
    return;
  }
  var value = sum;
  if (args.has_bias != 0u) {
    value += bias[args.bias_offset + column];
  }
  let place = args.output_offset + row * args.output_stride + column;
  if (args.accumulate != 0u) {
    value += output[place];
  }
  output[place] = value;
}

fn store_four(row: u32, columns: vec4u, sums: vec4f) {
  store(row, columns.x, sums.x);
  store(row, columns.y, sums.y);
  store(row, columns.z, sums.z);
  store(row, columns.w, sums.w);
}
