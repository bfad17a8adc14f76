// output = silu(gate) * up, silu(x) = x / (1 + exp(-x)). One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  gate_offset: u32,
  up_offset: u32,
  output_offset: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  let x = gate[args.gate_offset + index];
  output[args.output_offset + index] = x / (1.0 + exp(-x)) * up[args.up_offset + index];
}
