// output = left_scale * left + right_scale * right. One invocation an element.

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
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  let sum = args.left_scale * left[args.left_offset + index] + args.right_scale * right[args.right_offset + index];
  output[args.output_offset + index] = sum;
}
