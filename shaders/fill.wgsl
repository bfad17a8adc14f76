// output = value. One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  output_offset: u32,
  count: u32,
  value: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  output[args.output_offset + index] = args.value;
}
