// AdamW as PyTorch has it, on scaled and clipped gradients, four parameters at once: offsets, count and decay_count are
// multiples of four. The first decay_count parameters decay. The corrections are 1 / (1 - beta^step), from the CPU;
// norm_max 0 clips nothing.

override workgroup_size: u32 = 64;

struct Arguments {
  gradients_offset: u32,
  squared_norm_offset: u32,
  parameters_offset: u32,
  first_moments_offset: u32,
  second_moments_offset: u32,
  count: u32,
  decay_count: u32,
  learning_rate: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weight_decay: f32,
  first_correction: f32,
  second_correction: f32,
  gradient_scale: f32,
  norm_max: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read> squared_norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> first_moments: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> second_moments: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var scale = args.gradient_scale;
  if (args.norm_max > 0.0) {
    let norm = sqrt(squared_norm[args.squared_norm_offset]) * abs(args.gradient_scale);
    scale *= min(1.0, args.norm_max / (norm + 1.0e-6));
  }
  let keep = 1.0 - args.learning_rate * args.weight_decay;
  let stride = groups.x * workgroup_size;
  for (var index = global.x; index < args.count / 4u; index += stride) {
    let gradient = gradients[args.gradients_offset / 4u + index] * scale;
    let first_place = args.first_moments_offset / 4u + index;
    let second_place = args.second_moments_offset / 4u + index;
    let first = args.beta1 * first_moments[first_place] + (1.0 - args.beta1) * gradient;
    let second = args.beta2 * second_moments[second_place] + (1.0 - args.beta2) * gradient * gradient;
    first_moments[first_place] = first;
    second_moments[second_place] = second;
    let place = args.parameters_offset / 4u + index;
    let value = parameters[place] * select(1.0, keep, index < args.decay_count / 4u);
    let root = sqrt(second * args.second_correction) + args.epsilon;
    parameters[place] = value - args.learning_rate * (first * args.first_correction) / root;
  }
}
