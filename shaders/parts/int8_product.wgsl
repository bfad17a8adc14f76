// output[row, column] = sum over blocks of input_scale * weight_scale * (input . weight), four int8 in each word, sums within a
// block in i32 and exact: what all shaders of these products bind, and how they scale and store.

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

// Beyond the edges, the last row and column are read again and not stored.
fn row_start(row: u32) -> u32 {
  return args.input_offset + min(row, args.rows - 1u) * args.words;
}

fn weight_starts(columns: vec4u) -> vec4u {
  return args.weight_offset + min(columns, vec4u(args.columns - 1u)) * args.words;
}

fn scale_starts(columns: vec4u) -> vec4u {
  return args.weight_scales_offset + min(columns, vec4u(args.columns - 1u)) * args.blocks;
}

fn words_at(place: vec4u) -> vec4u {
  return vec4u(weight[place.x], weight[place.y], weight[place.z], weight[place.w]);
}

fn scales_at(place: vec4u) -> vec4f {
  return vec4f(weight_scales[place.x], weight_scales[place.y], weight_scales[place.z], weight_scales[place.w]);
}

// Total plus a block's sums.
fn add_block(row: u32, block: u32, scales: vec4f, sums: vec4i, total: vec4f) -> vec4f {
  let scale = input_scales[args.input_scales_offset + min(row, args.rows - 1u) * args.blocks + block];
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
