// GELU: form 0 is the tanh approximation, written as x * logistic(2 u) because tanh is less exact and overflows on some
// adapters; form 1 is x * (1 + erf(x / sqrt(2))) / 2. Each invocation takes every elements-th, as many as there are
// invocations.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  output_offset: u32,
  count: u32,
  form: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

// The normal distribution's share below x; Abramowitz and Stegun 7.1.26, off by at most 1.5e-7.
fn normal_below(x: f32) -> f32 {
  let distance = abs(x) * 0.7071067811865476;
  let t = 1.0 / (1.0 + 0.3275911 * distance);
  let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  let beyond = 0.5 * series * exp(-distance * distance);
  return select(1.0 - beyond, beyond, x < 0.0);
}

fn gelu(x: f32) -> f32 {
  if (args.form == 0u) {
    return x / (1.0 + exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));
  }
  return x * normal_below(x);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var index = global.x; index < args.count; index += groups.x * workgroup_size) {
    output[args.output_offset + index] = gelu(input[args.input_offset + index]);
  }
}
