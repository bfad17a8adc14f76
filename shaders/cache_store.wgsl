// Stores new keys or values into a cache: cache[sequence, position_start + token] = input[sequence, token]. One
// invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  cache_offset: u32,
  rows: u32,
  tokens: u32,
  width: u32,
  position_start: u32,
  positions_max: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.width) {
    return;
  }
  let row = index / args.width;
  let position = row / args.tokens * args.positions_max + args.position_start + row % args.tokens;
  cache[args.cache_offset + position * args.width + index % args.width] = input[args.input_offset + index];
}
