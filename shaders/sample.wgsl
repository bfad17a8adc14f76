// Draws the next token of each row with temperature, top-k and top-p. One workgroup a row, no sorting: what is kept is
// "every logit above a threshold and the first `equal_kept` tokens equal to it"; both cuts search that threshold bit
// by bit over `order_key`, counting or weighing what is at least it. `random_words` gives bare Philox words, for
// checking.

override workgroup_size: u32 = 32;

struct Arguments {
  logits_offset: u32,
  samples_offset: u32,
  tokens_offset: u32,
  log_probabilities_offset: u32,
  rows: u32,
  vocabulary: u32,
  top_k: u32,
  position: u32,
  seed_low: u32,
  seed_high: u32,
  temperature: f32,
  top_p: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> samples: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> log_probabilities: array<f32>;

// An unsigned number that orders as the float does; both zeros are equal, and what is no number comes last.
fn order_key(value: f32) -> u32 {
  var bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return 0u;
  }
  if (bits == 0x80000000u) {
    bits = 0u;
  }
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle1 = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let middle2 = (a & 0xffffu) * (b >> 16u) + (middle1 & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle1 >> 16u) + (middle2 >> 16u);
}

// Philox4x32-10, equal to `philox` of src/core/prng.ts.
fn philox(start: vec4u, seed: vec2u) -> vec4u {
  var counter = start;
  var key = seed;
  for (var round = 0u; round < 10u; round++) {
    let high0 = multiply_high(0xd2511f53u, counter.x);
    let low0 = 0xd2511f53u * counter.x;
    let high1 = multiply_high(0xcd9e8d57u, counter.z);
    let low1 = 0xcd9e8d57u * counter.z;
    counter = vec4u(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
    key += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return counter;
}

fn words_of(sample: u32) -> vec4u {
  return philox(vec4u(args.position, sample, 0u, 0u), vec2u(args.seed_low, args.seed_high));
}

@compute @workgroup_size(workgroup_size)
fn random_words(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = global.y * groups.x * workgroup_size + global.x;
  if (row >= args.rows) {
    return;
  }
  let words = words_of(samples[args.samples_offset + row]);
  for (var index = 0u; index < 4u; index++) {
    tokens[args.tokens_offset + row * 4u + index] = words[index];
  }
}

var<workgroup> partial: array<f32, workgroup_size>;

// The sum over the workgroup, added in lane order by every lane.
fn total(own: f32, lane: u32) -> f32 {
  partial[lane] = own;
  workgroupBarrier();
  var sum = 0.0;
  for (var index = 0u; index < workgroup_size; index++) {
    sum += partial[index];
  }
  workgroupBarrier();
  return sum;
}

var<workgroup> counts: array<u32, workgroup_size>;

fn total_count(own: u32, lane: u32) -> u32 {
  counts[lane] = own;
  workgroupBarrier();
  var sum = 0u;
  for (var index = 0u; index < workgroup_size; index++) {
    sum += counts[index];
  }
  workgroupBarrier();
  return sum;
}

// The largest over the workgroup.
fn largest(own: f32, lane: u32) -> f32 {
  partial[lane] = own;
  workgroupBarrier();
  var found = partial[0];
  for (var index = 1u; index < workgroup_size; index++) {
    found = max(found, partial[index]);
  }
  workgroupBarrier();
  return found;
}

// How likely a logit is at the temperature, relative to the largest.
fn weight_of(logit: f32, row_largest: f32) -> f32 {
  // At temperature 0 only the largest logit is kept, and its weight is 1 at any temperature.
  return exp((logit - row_largest) / select(1.0, args.temperature, args.temperature > 0.0));
}

fn count_at_least(threshold: u32, start: u32, lane: u32) -> u32 {
  var count = 0u;
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    count += select(0u, 1u, order_key(logits[start + token]) >= threshold);
  }
  return total_count(count, lane);
}

fn weight_at_least(threshold: u32, start: u32, row_largest: f32, lane: u32) -> f32 {
  var sum = 0.0;
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    let logit = logits[start + token];
    if (order_key(logit) >= threshold) {
      sum += weight_of(logit, row_largest);
    }
  }
  return total(sum, lane);
}

// The float that has this key.
fn key_value(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  if (row >= args.rows) {
    return;
  }
  let start = args.logits_offset + row * args.vocabulary;
  var own_largest = -3.0e38;
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    own_largest = max(own_largest, logits[start + token]);
  }
  let row_largest = largest(own_largest, lane);
  var own_sum = 0.0;
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    own_sum += exp(logits[start + token] - row_largest);
  }
  let log_total = log(total(own_sum, lane));

  // Kept: keys above `threshold`, and the first `equal_kept` tokens whose key equals it.
  var threshold = 0u;
  var equal_kept = 0u;
  let top_k = select(args.top_k, 1u, args.temperature <= 0.0);
  if (top_k > 0u && top_k < args.vocabulary) {
    for (var bit = 0u; bit < 32u; bit++) {
      let candidate = threshold | (0x80000000u >> bit);
      if (count_at_least(candidate, start, lane) >= top_k) {
        threshold = candidate;
      }
    }
    equal_kept = top_k - count_at_least(threshold + 1u, start, lane);
  }
  var equal_weight = weight_of(key_value(threshold), row_largest);
  equal_weight = select(0.0, equal_weight, equal_kept > 0u);
  if (args.top_p < 1.0 && args.temperature > 0.0) {
    let kept_weight = weight_at_least(threshold + 1u, start, row_largest, lane) + f32(equal_kept) * equal_weight;
    // Above nothing, so that top-p 0 still keeps the largest.
    let wanted = max(args.top_p * kept_weight, 1.0e-30);
    let lowest = threshold;
    var higher = 0u;
    for (var bit = 0u; bit < 32u; bit++) {
      let candidate = higher | (0x80000000u >> bit);
      // Down to the first cut's threshold everything that it keeps is at least the candidate.
      let weight = weight_at_least(candidate, start, row_largest, lane);
      if (candidate <= lowest || weight >= wanted) {
        higher = candidate;
      }
    }
    let above = weight_at_least(higher + 1u, start, row_largest, lane);
    let each = weight_of(key_value(higher), row_largest);
    let needed = max(1u, u32(clamp(ceil((wanted - above) / each), 0.0, 1.0e9)));
    equal_kept = select(needed, min(needed, equal_kept), higher == lowest);
    threshold = higher;
    equal_weight = each;
  }

  // Every lane weighs a contiguous stretch of tokens; then the stretch that holds the draw is walked.
  let stretch = (args.vocabulary + workgroup_size - 1u) / workgroup_size;
  let first = lane * stretch;
  let end = min(first + stretch, args.vocabulary);
  var above_sum = 0.0;
  var equal_count = 0u;
  for (var token = first; token < end; token++) {
    let logit = logits[start + token];
    let key = order_key(logit);
    if (key > threshold) {
      above_sum += weight_of(logit, row_largest);
    } else if (key == threshold) {
      equal_count++;
    }
  }
  partial[lane] = above_sum;
  counts[lane] = equal_count;
  workgroupBarrier();
  var everything = 0.0;
  var equal_before = 0u;
  for (var index = 0u; index < workgroup_size; index++) {
    let equal_here = min(counts[index], equal_kept - min(equal_before, equal_kept));
    everything += partial[index] + f32(equal_here) * equal_weight;
    equal_before += counts[index];
  }
  let unit = f32(words_of(samples[args.samples_offset + row]).x >> 8u) / 16777216.0;
  let drawn = unit * everything;
  var before = 0.0;
  equal_before = 0u;
  var owner = 0u;
  var owner_before = 0.0;
  var owner_equal_before = 0u;
  for (var index = 0u; index < workgroup_size; index++) {
    let equal_here = min(counts[index], equal_kept - min(equal_before, equal_kept));
    let weight = partial[index] + f32(equal_here) * equal_weight;
    // The last stretch with any weight that starts at or before the draw.
    if (weight > 0.0 && before <= drawn) {
      owner = index;
      owner_before = before;
      owner_equal_before = equal_before;
    }
    before += weight;
    equal_before += counts[index];
  }
  if (lane != owner) {
    return;
  }
  var chosen = 0u;
  var walked = owner_before;
  var equal_seen = owner_equal_before;
  for (var token = first; token < end; token++) {
    let logit = logits[start + token];
    let key = order_key(logit);
    var kept = key > threshold;
    if (key == threshold) {
      kept = equal_seen < equal_kept;
      equal_seen++;
    }
    if (kept) {
      // The last kept token whose weight starts at or before the draw.
      if (walked > drawn) {
        break;
      }
      let weight = weight_of(logit, row_largest);
      if (weight > 0.0) {
        chosen = token;
      }
      walked += weight;
    }
  }
  tokens[args.tokens_offset + row] = chosen;
  log_probabilities[args.log_probabilities_offset + row] = logits[start + chosen] - row_largest - log_total;
}
