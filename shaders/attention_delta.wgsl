// For the backward pass of attention: delta = sum over a head of output * output_gradient. One invocation a row and
// head.

override workgroup_size: u32 = 64;

struct Arguments {
  output_offset: u32,
  output_gradient_offset: u32,
  delta_offset: u32,
  rows: u32,
  head_size: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> delta: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows) {
    return;
  }
  let start = index * args.head_size;
  var sum = 0.0;
  for (var dimension = start; dimension < start + args.head_size; dimension++) {
    sum += output[args.output_offset + dimension] * output_gradient[args.output_gradient_offset + dimension];
  }
  delta[args.delta_offset + index] = sum;
}
