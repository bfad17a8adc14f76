// values = code * scale, four int8 in each word. One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  codes_offset: u32,
  scales_offset: u32,
  values_offset: u32,
  rows: u32,
  inner: u32,
  words: u32,
  block: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let row = index / args.inner;
  if (row >= args.rows) {
    return;
  }
  let element = index % args.inner;
  let word = codes[args.codes_offset + row * args.words + element / 4u];
  let code = bitcast<i32>(word << (24u - 8u * (element % 4u))) >> 24u;
  let scale = scales[args.scales_offset + row * args.blocks + element / args.block];
  values[args.values_offset + index] = f32(code) * scale;
}
