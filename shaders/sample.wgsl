// Draws the next token of each row with that row's own temperature, top-k and top-p. One workgroup a row, no sorting: kept is
// "every logit above a threshold and the first `equal_kept` tokens equal to it"; both cuts search that threshold over
// `order_key`, four bits a pass, counting or weighing the logits that agree with the bits found so far.
// `random_words` gives bare Philox words, for checking.

override workgroup_size: u32 = 64;

struct Arguments {
  logits_offset: u32,
  wishes_offset: u32,
  tokens_offset: u32,
  log_probabilities_offset: u32,
  rows: u32,
  vocabulary: u32,
  advance: u32,
}

// What a row wants; `logits_row` is where its logits are, `position` where the new token will stand before `advance` is added.
struct Wish {
  temperature: f32,
  top_p: f32,
  top_k: u32,
  seed_low: u32,
  seed_high: u32,
  sample: u32,
  position: u32,
  logits_row: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> wishes: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> log_probabilities: array<f32>;

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

fn wish_of(row: u32) -> Wish {
  let at = args.wishes_offset + row * 8u;
  return Wish(
    bitcast<f32>(wishes[at]),
    bitcast<f32>(wishes[at + 1u]),
    wishes[at + 2u],
    wishes[at + 3u],
    wishes[at + 4u],
    wishes[at + 5u],
    wishes[at + 6u],
    wishes[at + 7u],
  );
}

fn words_of(wish: Wish) -> vec4u {
  return philox(vec4u(wish.position + args.advance, wish.sample, 0u, 0u), vec2u(wish.seed_low, wish.seed_high));
}

@compute @workgroup_size(workgroup_size)
fn random_words(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = global.y * groups.x * workgroup_size + global.x;
  if (row >= args.rows) {
    return;
  }
  let words = words_of(wish_of(row));
  for (var index = 0u; index < 4u; index++) {
    tokens[args.tokens_offset + row * 4u + index] = words[index];
  }
}

// Sixteen sums of each lane, and their totals.
var<workgroup> partial: array<array<vec4f, 4>, workgroup_size>;
var<workgroup> totals: array<f32, 16>;

// Lanes that have a token.
fn lanes_used() -> u32 {
  return min(workgroup_size, args.vocabulary);
}

// Sums what every lane put into `partial`, lane by lane.
fn add_lanes(lane: u32) {
  workgroupBarrier();
  for (var place = lane; place < 16u; place += workgroup_size) {
    var sum = 0.0;
    for (var other = 0u; other < lanes_used(); other++) {
      sum += partial[other][place / 4u][place % 4u];
    }
    totals[place] = sum;
  }
  workgroupBarrier();
}

// The row's temperature, or 1 where that is 0: then only the largest logit is kept, and its weight is 1 at any temperature.
var<private> divisor: f32;

// How likely a logit is at the temperature, relative to the largest.
fn weight_of(logit: f32, row_largest: f32) -> f32 {
  return exp((logit - row_largest) / divisor);
}

// The float that has this key.
fn key_value(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

struct Stretch {
  above: f32,
  equals: u32,
}

var<workgroup> stretches: array<Stretch, workgroup_size>;

struct Cut {
  threshold: u32,
  // The count or weight of what is above it.
  above: f32,
}

// The highest threshold such that the logits at or above it count (or weigh) at least what is wanted. Logits whose key
// is below `lowest` are left out.
fn search(start: u32, lane: u32, lowest: u32, wanted: f32, counting: bool, row_largest: f32) -> Cut {
  var cut = Cut(0u, 0.0);
  var done = false;
  for (var pass_bits = 0u; pass_bits < 32u; pass_bits += 4u) {
    let shift = 28u - pass_bits;
    var sums0 = vec4f();
    var sums1 = vec4f();
    var sums2 = vec4f();
    var sums3 = vec4f();
    for (var token = select(lane, args.vocabulary, done); token < args.vocabulary; token += workgroup_size) {
      let logit = logits[start + token];
      let key = order_key(logit);
      // Below 16 where the bits above agree with those found; then it is the next four bits.
      let digit = (key ^ cut.threshold) >> shift;
      if (digit < 16u && key >= lowest) {
        var weight = 1.0;
        if (!counting) {
          weight = weight_of(logit, row_largest);
        }
        let digits = vec4u(digit);
        sums0 += select(vec4f(), vec4f(weight), digits >= vec4u(0u, 1u, 2u, 3u));
        sums1 += select(vec4f(), vec4f(weight), digits >= vec4u(4u, 5u, 6u, 7u));
        sums2 += select(vec4f(), vec4f(weight), digits >= vec4u(8u, 9u, 10u, 11u));
        sums3 += select(vec4f(), vec4f(weight), digits >= vec4u(12u, 13u, 14u, 15u));
      }
    }
    partial[lane] = array<vec4f, 4>(sums0, sums1, sums2, sums3);
    add_lanes(lane);
    if (!done) {
      var digit = 15u;
      while (digit > 0u && cut.above + totals[digit] < wanted) {
        digit--;
      }
      cut.threshold |= digit << shift;
      // As many as were wanted: where among them the lowest lies does not matter.
      if (counting && digit > 0u && cut.above + totals[digit] == wanted) {
        done = true;
        cut.threshold -= 1u;
        cut.above = wanted;
      } else if (digit < 15u) {
        cut.above += totals[digit + 1u];
      }
    }
    // The totals are read before the next pass writes them, as add_lanes begins with a barrier.
  }
  return cut;
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
  let wish = wish_of(row);
  divisor = select(1.0, wish.temperature, wish.temperature > 0.0);
  let start = args.logits_offset + wish.logits_row * args.vocabulary;
  var own_largest = -3.0e38;
  var own_sum = 0.0;
  var magnitude = 0u;
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    let logit = logits[start + token];
    if (logit > own_largest) {
      own_sum *= exp(own_largest - logit);
      own_largest = logit;
    }
    own_sum += exp(logit - own_largest);
    magnitude = max(magnitude, bitcast<u32>(logit) & 0x7fffffffu);
  }
  // NaN and plus infinity make the log-probability NaN, told by their bits because exp may make a number of them.
  let no_number = bitcast<f32>(args.vocabulary | 0x7fc00000u);
  if (magnitude > 0x7f800000u || bitcast<u32>(own_largest) == 0x7f800000u) {
    own_sum = no_number;
  }
  partial[lane][0] = vec4f(own_largest, own_sum, 0.0, 0.0);
  workgroupBarrier();
  var row_largest = own_largest;
  for (var other = 0u; other < lanes_used(); other++) {
    row_largest = max(row_largest, partial[other][0].x);
  }
  var row_sum = 0.0;
  for (var other = 0u; other < lanes_used(); other++) {
    row_sum += partial[other][0].y * exp(partial[other][0].x - row_largest);
  }
  let log_total = log(row_sum);
  workgroupBarrier();

  // Kept: keys above `threshold`, and the first `equal_kept` tokens whose key equals it.
  var threshold = 0u;
  var equal_kept = 0u;
  let top_k = select(wish.top_k, 1u, wish.temperature <= 0.0);
  if (top_k == 1u) {
    threshold = order_key(row_largest);
    equal_kept = 1u;
  } else if (top_k > 0u && top_k < args.vocabulary) {
    let cut = search(start, lane, 0u, f32(top_k), true, row_largest);
    threshold = cut.threshold;
    equal_kept = top_k - u32(cut.above);
  }
  var equal_weight = weight_of(key_value(threshold), row_largest);
  equal_weight = select(0.0, equal_weight, equal_kept > 0u);
  if (wish.top_p < 1.0 && wish.temperature > 0.0) {
    var sum = 0.0;
    for (var token = lane; token < args.vocabulary; token += workgroup_size) {
      let logit = logits[start + token];
      if (order_key(logit) > threshold) {
        sum += weight_of(logit, row_largest);
      }
    }
    partial[lane][0].x = sum;
    add_lanes(lane);
    let kept_weight = totals[0] + f32(equal_kept) * equal_weight;
    // Above nothing, so that top-p 0 still keeps the largest.
    let wanted = max(wish.top_p * kept_weight, 1.0e-30);
    let lowest = threshold + select(1u, 0u, equal_kept > 0u);
    let cut = search(start, lane, lowest, wanted, false, row_largest);
    // By rounding the search may miss what is wanted and end below; then the first cut stands.
    if (cut.threshold >= lowest) {
      let each = weight_of(key_value(cut.threshold), row_largest);
      let needed = max(1u, u32(clamp(ceil((wanted - cut.above) / each), 0.0, 1.0e9)));
      equal_kept = select(needed, min(needed, equal_kept), cut.threshold == threshold);
      threshold = cut.threshold;
      equal_weight = each;
    }
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
  stretches[lane] = Stretch(above_sum, equal_count);
  workgroupBarrier();
  var everything = 0.0;
  var equal_before = 0u;
  for (var index = 0u; index < lanes_used(); index++) {
    let equal_here = min(stretches[index].equals, equal_kept - min(equal_before, equal_kept));
    everything += stretches[index].above + f32(equal_here) * equal_weight;
    equal_before += stretches[index].equals;
  }
  let unit = f32(words_of(wish).x >> 8u) / 16777216.0;
  let drawn = unit * everything;
  var before = 0.0;
  equal_before = 0u;
  var owner = 0u;
  var owner_before = 0.0;
  var owner_equal_before = 0u;
  for (var index = 0u; index < lanes_used(); index++) {
    let equal_here = min(stretches[index].equals, equal_kept - min(equal_before, equal_kept));
    let weight = stretches[index].above + f32(equal_here) * equal_weight;
    // The last stretch with any weight that starts at or before the draw.
    if (weight > 0.0 && before <= drawn) {
      owner = index;
      owner_before = before;
      owner_equal_before = equal_before;
    }
    before += weight;
    equal_before += stretches[index].equals;
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
  let known = (bitcast<u32>(row_sum) & 0x7fffffffu) <= 0x7f800000u;
  let found = logits[start + chosen] - row_largest - log_total;
  log_probabilities[args.log_probabilities_offset + row] = select(no_number, found, known);
}
