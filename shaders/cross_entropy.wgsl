// Softmax and cross-entropy: the loss of each row, and its logits replaced by their gradient. One pass finds the
// largest logit and the sum, a second writes the gradient. The target 0xffffffff counts for nothing; any other at or
// above the vocabulary gives NaN. Parts say how many lanes share a row, and how many columns an Element is.

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
@group(0) @binding(2) var<storage, read_write> logits: array<Element>;
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
  let elements = args.vocabulary / element_size;
  let start = args.logits_offset / element_size + row * elements;
  let target_token = targets[args.targets_offset + row];
  let counts = target_token != 0xffffffffu;
  var own_largest = -3.0e38;
  // Of the values themselves: no finite number when one of them is none.
  var total = 0.0;
  var sum = 0.0;
  var column = lane;
  for (; column + 3u * lanes < elements; column += 4u * lanes) {
    let place = start + column;
    let a = logits[place];
    let b = logits[place + lanes];
    let c = logits[place + 2u * lanes];
    let d = logits[place + 3u * lanes];
    total += sum_of((a + b) + (c + d));
    let larger = largest_of(max(max(a, b), max(c, d)));
    if (larger > own_largest) {
      sum *= exp(own_largest - larger);
      own_largest = larger;
    }
    sum += sum_of((exp(a - own_largest) + exp(b - own_largest)) + (exp(c - own_largest) + exp(d - own_largest)));
  }
  for (; column < elements; column += lanes) {
    let values = logits[start + column];
    total += sum_of(values);
    let larger = largest_of(values);
    if (larger > own_largest) {
      sum *= exp(own_largest - larger);
      own_largest = larger;
    }
    sum += sum_of(exp(values - own_largest));
  }
  // NaN and plus infinity make the row NaN, told by their bits because exp may make a number of them. Bits are looked
  // at where the total gives reason to: minus infinity and large numbers do too, and are none of these.
  var magnitude = 0u;
  if ((bitcast<u32>(total) & 0x7f800000u) == 0x7f800000u) {
    for (column = lane; column < elements; column += lanes) {
      magnitude = max(magnitude, magnitude_of(logits[start + column]));
    }
  }
  if (magnitude > 0x7f800000u || bitcast<u32>(own_largest) == 0x7f800000u) {
    sum = bitcast<f32>(args.vocabulary | 0x7fc00000u);
  }
  // The lane that overwrites the target's logit below keeps it.
  var own_target = 0.0;
  if (target_token < args.vocabulary && (target_token / element_size) % lanes == lane) {
    own_target = component_of(logits[start + target_token / element_size], target_token % element_size);
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
  for (column = lane; column < elements; column += lanes) {
    let probabilities = exp(logits[start + column] - largest) / row_total;
    logits[start + column] = scale * (probabilities - one_at(column * element_size, target_token));
  }
  if (lane == 0u) {
    losses[args.losses_offset + row] = select(0.0, found_loss, counts);
  }
}
