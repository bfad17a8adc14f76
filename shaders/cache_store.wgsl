// Stores a prompt's keys and values into caches: cache[sequence, token] = input[token] for every sequence, where the
// input's rows may stand in longer ones. One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  cache_offset: u32,
  sequences: u32,
  tokens: u32,
  width: u32,
  input_stride: u32,
  positions_max: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let column = index % args.width;
  let row = index / args.width;
  let sequence = row / args.tokens;
  if (sequence >= args.sequences) {
    return;
  }
  let token = row % args.tokens;
  let place = (sequence * args.positions_max + token) * args.width + column;
  cache[args.cache_offset + place] = input[args.input_offset + token * args.input_stride + column];
}
