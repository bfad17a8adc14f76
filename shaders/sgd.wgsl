// SGD with momentum as PyTorch has it (no dampening), on scaled and clipped gradients, one invocation a parameter. Nesterov looks
// a step ahead. The first decay_count parameters decay.

override workgroup_size: u32 = 64;

struct Arguments {
  gradients_offset: u32,
  squared_norm_offset: u32,
  parameters_offset: u32,
  momenta_offset: u32,
  count: u32,
  decay_count: u32,
  nesterov: u32,
  learning_rate: f32,
  momentum: f32,
  weight_decay: f32,
  gradient_scale: f32,
  norm_max: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read> squared_norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> momenta: array<f32>;

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
  let value = parameters[args.parameters_offset + index];
  var gradient = gradients[args.gradients_offset + index] * scale;
  if (index < args.decay_count) {
    gradient = fma(args.weight_decay, value, gradient);
  }
  let carried = fma(args.momentum, momenta[args.momenta_offset + index], gradient);
  momenta[args.momenta_offset + index] = carried;
  let direction = select(carried, fma(args.momentum, carried, gradient), args.nesterov != 0u);
  parameters[args.parameters_offset + index] = value - args.learning_rate * direction;
}
