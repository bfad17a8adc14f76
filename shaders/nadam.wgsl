// NAdam as PyTorch has it, on scaled and clipped gradients, one invocation a parameter. What depends on the step alone comes from
// the CPU: the rates of gradient and of moment hold the learning rate and the corrections of the momentum's schedule. The
// first decay_count parameters decay, decoupled as in AdamW or as a part of the gradient.

override workgroup_size: u32 = 64;

struct Arguments {
  gradients_offset: u32,
  squared_norm_offset: u32,
  parameters_offset: u32,
  first_moments_offset: u32,
  second_moments_offset: u32,
  count: u32,
  decay_count: u32,
  decoupled: u32,
  learning_rate: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weight_decay: f32,
  gradient_rate: f32,
  moment_rate: f32,
  second_correction: f32,
  gradient_scale: f32,
  norm_max: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read> squared_norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> first_moments: array<f32>;
@group(0) @binding(5) var<storage, read_write> second_moments: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  var scale = args.gradient_scale;
  if (args.norm_max > 0.0) {
    let norm = sqrt(squared_norm[args.squared_norm_offset]) * abs(args.gradient_scale);
    scale *= min(1.0, args.norm_max / (norm + 1.0e-6));
  }
  var value = parameters[args.parameters_offset + index];
  var gradient = gradients[args.gradients_offset + index] * scale;
  if (index < args.decay_count) {
    if (args.decoupled != 0u) {
      value *= 1.0 - args.learning_rate * args.weight_decay;
    } else {
      gradient = fma(args.weight_decay, value, gradient);
    }
  }
  let first_place = args.first_moments_offset + index;
  let second_place = args.second_moments_offset + index;
  let first = args.beta1 * first_moments[first_place] + (1.0 - args.beta1) * gradient;
  let second = args.beta2 * second_moments[second_place] + (1.0 - args.beta2) * gradient * gradient;
  first_moments[first_place] = first;
  second_moments[second_place] = second;
  let root = sqrt(second * args.second_correction) + args.epsilon;
  parameters[args.parameters_offset + index] =
    value - (args.gradient_rate * gradient + args.moment_rate * first) / root;
}
