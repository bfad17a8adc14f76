// Rotary position embedding in place over interleaved pairs. The table holds cosine and sine for [position, pair]. One
// invocation a row and a pair of a head, for all heads of the row; `inverse` turns the other way, which is the gradient.

override workgroup_size: u32 = 64;

struct Arguments {
  table_offset: u32,
  values_offset: u32,
  rows: u32,
  tokens: u32,
  heads: u32,
  head_size: u32,
  row_stride: u32,
  position_start: u32,
  inverse: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let half = args.head_size / 2u;
  let row = index / half;
  if (row >= args.rows) {
    return;
  }
  let pair = index % half;
  let position = args.position_start + row % args.tokens;
  let angle = args.table_offset + (position * half + pair) * 2u;
  let cosine = table[angle];
  let sine = select(table[angle + 1u], -table[angle + 1u], args.inverse != 0u);
  var place = args.values_offset + row * args.row_stride + pair * 2u;
  for (var head = 0u; head < args.heads; head++) {
    let first = values[place];
    let second = values[place + 1u];
    values[place] = first * cosine - second * sine;
    values[place + 1u] = first * sine + second * cosine;
    place += args.head_size;
  }
}
