// output = value. Each invocation takes every elements-th, as many as there are invocations.

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
  for (var index = global.x; index < args.count; index += groups.x * workgroup_size) {
    output[args.output_offset + index] = args.value;
  }
}
