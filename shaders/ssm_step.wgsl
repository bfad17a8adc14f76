// One step of a selective state space (Mamba-2): of each head the state [states, head_width] decays by exp(step * -exp(a_log)),
// takes in step * B x, and is read by C; then the skip d * x, and the gate silu(z). `projected` holds of each row z first and
// the heads' steps last; `convolved` holds x, B and C. One invocation an element of a head, which sums over states in
// ascending order; neighbours read neighbouring elements of the state.

override workgroup_size: u32 = 64;

struct Arguments {
  slots_offset: u32,
  projected_offset: u32,
  convolved_offset: u32,
  a_log_offset: u32,
  skip_offset: u32,
  step_bias_offset: u32,
  state_offset: u32,
  output_offset: u32,
  rows: u32,
  heads: u32,
  head_width: u32,
  states: u32,
  state_groups: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> slots: array<u32>;
@group(0) @binding(2) var<storage, read> projected: array<f32>;
@group(0) @binding(3) var<storage, read> convolved: array<f32>;
@group(0) @binding(4) var<storage, read> a_log: array<f32>;
@group(0) @binding(5) var<storage, read> skip: array<f32>;
@group(0) @binding(6) var<storage, read> step_bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> state: array<f32>;
@group(0) @binding(8) var<storage, read_write> output: array<f32>;

// log(1 + exp(x)); above 20 it is x to the last bit.
fn softplus(x: f32) -> f32 {
  return select(log(1.0 + exp(min(x, 20.0))), x, x > 20.0);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let inner = args.heads * args.head_width;
  if (index >= args.rows * inner) {
    return;
  }
  let row = index / inner;
  let place = index % inner;
  let head = place / args.head_width;
  let channels = inner + 2u * args.state_groups * args.states;
  let own = args.projected_offset + row * (inner + channels + args.heads);
  let step = softplus(projected[own + inner + channels + head] + step_bias[args.step_bias_offset + head]);
  let decay = exp(-step * exp(a_log[args.a_log_offset + head]));
  let inputs = args.convolved_offset + row * channels;
  let x = convolved[inputs + place];
  let group = head / (args.heads / args.state_groups);
  let b = inputs + inner + group * args.states;
  let c = b + args.state_groups * args.states;
  let slot = slots[args.slots_offset + row];
  let first = args.state_offset + (slot * args.heads + head) * args.states * args.head_width + place % args.head_width;
  let taken = step * x;
  var sum = 0.0;
  for (var index_of_state = 0u; index_of_state < args.states; index_of_state++) {
    let at = first + index_of_state * args.head_width;
    let value = state[at] * decay + taken * convolved[b + index_of_state];
    state[at] = value;
    sum += value * convolved[c + index_of_state];
  }
  let z = projected[own + place];
  let gated = (sum + skip[args.skip_offset + head] * x) * z / (1.0 + exp(min(-z, 80.0)));
  output[args.output_offset + index] = gated;
}
