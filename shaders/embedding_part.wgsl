// Rows of a part of a table by token: output[row] = table[tokens[row] - first] where this part holds that token. The rows of
// other parts' tokens are left alone, and a token outside the vocabulary gives zeros in the first part. The table lies as
// `format` says: 0 f32, 1 halves (two a word), 4 and 8 blocks of 32 as `quant-blocks.ts` packs them. One invocation an element.

override workgroup_size: u32 = 64;
override format: u32 = 0;

struct Arguments {
  tokens_offset: u32,
  table_offset: u32,
  scales_offset: u32,
  output_offset: u32,
  rows: u32,
  width: u32,
  first: u32,
  count: u32,
  vocabulary: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

fn half_at(word: u32, is_upper: bool) -> f32 {
  let pair = unpack2x16float(word);
  return select(pair.x, pair.y, is_upper);
}

// Quants are cut out of their word by two shifts, which give them their sign.
fn quant_at(row: u32, column: u32) -> f32 {
  let block = row * (args.width / 32u) + column / 32u;
  let scale = half_at(scales[args.scales_offset + block / 2u], block % 2u == 1u);
  let place = column % 32u;
  if (format == 8u) {
    let word = table[args.table_offset + block * 8u + place / 4u];
    return f32(bitcast<i32>(word << (24u - 8u * (place % 4u))) >> 24u) * scale;
  }
  let word = table[args.table_offset + block * 4u + place % 16u / 4u];
  let low = 8u * (place % 4u) + 4u * (place / 16u);
  return f32(bitcast<i32>(word << (28u - low)) >> 28u) * scale;
}

fn value_at(row: u32, column: u32) -> f32 {
  if (format > 1u) {
    return quant_at(row, column);
  }
  let place = args.table_offset + row * args.width + column;
  if (format == 1u) {
    return half_at(table[place / 2u], place % 2u == 1u);
  }
  return bitcast<f32>(table[place]);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.width) {
    return;
  }
  let token = tokens[args.tokens_offset + index / args.width];
  if (token >= args.first && token - args.first < args.count) {
    output[args.output_offset + index] = value_at(token - args.first, index % args.width);
  } else if (token >= args.vocabulary && args.first == 0u) {
    output[args.output_offset + index] = 0.0;
  }
}
