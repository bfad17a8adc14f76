// Fixed-point scaling of integers: scaled(x) = (x * multiplier + 2^(shift-1)) >> shift, rounded half up and held to [-bound, bound].
// `main` stores it, `update` adds it to the output (or takes it away), `product` scales the product of two tensors.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  other_offset: u32,
  output_offset: u32,
  count: u32,
  multiplier: u32,
  shift: u32,
  bound: u32,
  negate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<i32>;
@group(0) @binding(2) var<storage, read> other: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<i32>;

// The product needs up to 46 bits. Taking x apart into high * 2^16 + low keeps every step within 32, and a floor of a floor is
// the floor of the whole: multiplier < 2^15, shift from 17 to 30.
fn scaled(x: i32) -> i32 {
  let factor = i32(args.multiplier);
  let high = x >> 16u;
  let low = x & 0xffff;
  let half = 1i << (args.shift - 17u);
  return (high * factor + ((low * factor) >> 16u) + half) >> (args.shift - 16u);
}

fn held(x: i32) -> i32 {
  let bound = i32(args.bound);
  return clamp(x, -bound, bound);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index < args.count) {
    output[args.output_offset + index] = held(scaled(input[args.input_offset + index]));
  }
}

@compute @workgroup_size(workgroup_size)
fn update(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index < args.count) {
    let step = scaled(input[args.input_offset + index]);
    let place = args.output_offset + index;
    output[place] = held(output[place] + select(step, -step, args.negate != 0u));
  }
}

@compute @workgroup_size(workgroup_size)
fn product(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index < args.count) {
    let both = input[args.input_offset + index] * other[args.other_offset + index];
    output[args.output_offset + index] = held(scaled(both));
  }
}
