// output = left_scale * left + right_scale * right. Each invocation takes every elements-th, as many as there are
// invocations.

override workgroup_size: u32 = 64;

struct Arguments {
  left_offset: u32,
  right_offset: u32,
  output_offset: u32,
  count: u32,
  left_scale: f32,
  right_scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let left_start = args.left_offset;
  let right_start = args.right_offset;
  let output_start = args.output_offset;
  let stride = groups.x * workgroup_size;
  for (var index = global.x; index < args.count; index += stride) {
    let sum = args.left_scale * left[left_start + index] + args.right_scale * right[right_start + index];
    output[output_start + index] = sum;
  }
}
