// One step of a causal convolution of each channel by itself, and SiLU: output = silu(bias + weight . (last inputs, input)).
// The state of a slot holds the last taps - 1 inputs of each channel, the oldest first, and moves on by one. One invocation
// an element.

override workgroup_size: u32 = 64;

struct Arguments {
  slots_offset: u32,
  input_offset: u32,
  weight_offset: u32,
  bias_offset: u32,
  state_offset: u32,
  output_offset: u32,
  rows: u32,
  channels: u32,
  taps: u32,
  input_stride: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> slots: array<u32>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> state: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.channels) {
    return;
  }
  let row = index / args.channels;
  let channel = index % args.channels;
  let kept = args.taps - 1u;
  let slot = slots[args.slots_offset + row];
  let place = args.state_offset + (slot * args.channels + channel) * kept;
  let weights = args.weight_offset + channel * args.taps;
  let newest = input[args.input_offset + row * args.input_stride + channel];
  var sum = bias[args.bias_offset + channel];
  for (var tap = 0u; tap < kept; tap++) {
    sum += weight[weights + tap] * state[place + tap];
  }
  sum += weight[weights + kept] * newest;
  for (var tap = 1u; tap < kept; tap++) {
    state[place + tap - 1u] = state[place + tap];
  }
  if (kept > 0u) {
    state[place + kept - 1u] = newest;
  }
  output[args.output_offset + index] = sum / (1.0 + exp(min(-sum, 80.0)));
}
