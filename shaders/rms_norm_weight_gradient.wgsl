// RMSNorm backward to the weight: the sum over rows, in order, of output_gradient * input * inverse_rms. One
// invocation a column.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  inverse_rms_offset: u32,
  output_gradient_offset: u32,
  weight_gradient_offset: u32,
  rows: u32,
  width: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(3) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight_gradient: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.width) {
    return;
  }
  var sum = 0.0;
  for (var row = 0u; row < args.rows; row++) {
    let place = row * args.width + index;
    let normal = input[args.input_offset + place] * inverse_rms[args.inverse_rms_offset + row];
    sum += output_gradient[args.output_gradient_offset + place] * normal;
  }
  if (args.accumulate == 0u) {
    weight_gradient[args.weight_gradient_offset + index] = sum;
  } else {
    weight_gradient[args.weight_gradient_offset + index] += sum;
  }
}
