// Backward of silu_gate: with s = 1 / (1 + exp(-gate)), silu' = s * (1 + gate * (1 - s)). One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  gate_offset: u32,
  up_offset: u32,
  output_gradient_offset: u32,
  gate_gradient_offset: u32,
  up_gradient_offset: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> gate_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> up_gradient: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  let x = gate[args.gate_offset + index];
  let gradient = output_gradient[args.output_gradient_offset + index];
  let s = 1.0 / (1.0 + exp(-x));
  let slope = s * (1.0 + x * (1.0 - s));
  gate_gradient[args.gate_gradient_offset + index] = gradient * up[args.up_offset + index] * slope;
  up_gradient[args.up_gradient_offset + index] = gradient * x * s;
}
