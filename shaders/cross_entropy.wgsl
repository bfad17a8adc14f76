// Softmax and cross-entropy: the loss of each row, and its logits replaced by their gradient. One pass finds the
// largest logit and the sum, a second writes the gradient. The target 0xffffffff counts for nothing; any other at
// or above the vocabulary gives NaN. How many lanes share a row is its part's matter.

struct Arguments {
  targets_offset: u32,
  logits_offset: u32,
  losses_offset: u32,
  rows: u32,
  vocabulary: u32,
  gradient_scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(invocation: Invocation) {
  let mine = row_lane(invocation, args.rows);
  if (is_idle(mine)) {
    return;
  }
  let row = mine.row;
  let lane = mine.lane;
  let lanes = mine.lanes;
  let start = args.logits_offset + row * args.vocabulary;
  let target_token = targets[args.targets_offset + row];
  let counts = target_token != 0xffffffffu;
  var own_largest = -3.0e38;
  // The largest bits of a magnitude: above those of infinity for what is no number.
  var magnitudes = vec4u();
  var sum = 0.0;
  // The lane that meets the target's logit keeps it, because the row is overwritten below.
  var own_target = 0.0;
  var token = lane;
  for (; token + 3u * lanes < args.vocabulary; token += 4u * lanes) {
    let place = start + token;
    let values = vec4f(logits[place], logits[place + lanes], logits[place + 2u * lanes], logits[place + 3u * lanes]);
    magnitudes = max(magnitudes, bitcast<vec4u>(values) & vec4u(0x7fffffffu));
    let larger = max(max(values.x, values.y), max(values.z, values.w));
    if (larger > own_largest) {
      sum *= exp(own_largest - larger);
      own_largest = larger;
    }
    let parts = exp(values - own_largest);
    sum += (parts.x + parts.y) + (parts.z + parts.w);
  }
  for (; token < args.vocabulary; token += lanes) {
    let value = logits[start + token];
    magnitudes.x = max(magnitudes.x, bitcast<u32>(value) & 0x7fffffffu);
    if (value > own_largest) {
      sum *= exp(own_largest - value);
      own_largest = value;
    }
    sum += exp(value - own_largest);
  }
  // NaN and plus infinity make the row NaN, told by their bits because exp may make a number of them.
  let magnitude = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
  if (magnitude > 0x7f800000u || bitcast<u32>(own_largest) == 0x7f800000u) {
    sum = bitcast<f32>(args.vocabulary | 0x7fc00000u);
  }
  if (target_token < args.vocabulary && target_token % lanes == lane) {
    own_target = logits[start + target_token];
  }
  let largest = row_largest(own_largest, mine);
  let row_total = row_sum(sum * exp(own_largest - largest), mine);
  let target_logit = row_sum(own_target, mine);
  if (!mine.is_real) {
    return;
  }
  let known = target_token < args.vocabulary && (bitcast<u32>(row_total) & 0x7fffffffu) <= 0x7f800000u;
  let no_number = bitcast<f32>(args.vocabulary | 0x7fc00000u);
  let found_scale = select(no_number, args.gradient_scale, known);
  let found_loss = select(no_number, log(row_total) + (largest - target_logit), known);
  let scale = select(0.0, found_scale, counts);
  for (token = lane; token < args.vocabulary; token += lanes) {
    let probability = exp(logits[start + token] - largest) / row_total;
    logits[start + token] = scale * (probability - select(0.0, 1.0, token == target_token));
  }
  if (lane == 0u) {
    losses[args.losses_offset + row] = select(0.0, found_loss, counts);
  }
}
