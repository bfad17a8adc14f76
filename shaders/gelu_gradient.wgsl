// GELU backward: input_gradient = output_gradient * gelu'(input), in the forms of gelu.wgsl.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  count: u32,
  form: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

// The normal distribution's share below x; Abramowitz and Stegun 7.1.26, off by at most 1.5e-7.
fn normal_below(x: f32) -> f32 {
  let distance = abs(x) * 0.7071067811865476;
  let t = 1.0 / (1.0 + 0.3275911 * distance);
  let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  let beyond = 0.5 * series * exp(-distance * distance);
  return select(1.0 - beyond, beyond, x < 0.0);
}

fn slope(x: f32) -> f32 {
  if (args.form == 0u) {
    let share = 1.0 / (1.0 + exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));
    return share + x * share * (1.0 - share) * 1.5957691216057308 * (1.0 + 0.134145 * x * x);
  }
  return normal_below(x) + 0.3989422804014327 * x * exp(-0.5 * x * x);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var index = global.x; index < args.count; index += groups.x * workgroup_size) {
    let value = output_gradient[args.output_gradient_offset + index] * slope(input[args.input_offset + index]);
    input_gradient[args.input_gradient_offset + index] = value;
  }
}
