// Attention backward to keys and values: with p and s as in attention_query_gradient, key_gradient = scale * sum of s
// * q and value_gradient = sum of p * output_gradient, over the query heads that share the key and over the tokens
// that see it, in order. One invocation a key row, key head and tile of 16 dimensions; queries in fours.

override workgroup_size: u32 = 64;

struct Arguments {
  query_offset: u32,
  key_offset: u32,
  value_offset: u32,
  output_gradient_offset: u32,
  log_sum_exp_offset: u32,
  delta_offset: u32,
  key_gradient_offset: u32,
  value_gradient_offset: u32,
  sequences: u32,
  tokens: u32,
  position_start: u32,
  positions_max: u32,
  heads: u32,
  kv_heads: u32,
  head_size: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(5) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(6) var<storage, read> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> key_gradient: array<f32>;
@group(0) @binding(8) var<storage, read_write> value_gradient: array<f32>;

fn query_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(query[at.x], query[at.y], query[at.z], query[at.w]);
}

fn gradient_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
}

fn store_key_gradient(start: u32, first: vec4u, values: vec4f) {
  for (var index = 0u; index < 4u; index++) {
    if (first[index] < args.head_size) {
      key_gradient[start + first[index]] = values[index];
    }
  }
}

fn store_value_gradient(start: u32, first: vec4u, values: vec4f) {
  for (var index = 0u; index < 4u; index++) {
    if (first[index] < args.head_size) {
      value_gradient[start + first[index]] = values[index];
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let tiles = (args.head_size + 15u) / 16u;
  let row = index / tiles;
  if (row >= args.sequences * args.tokens * args.kv_heads) {
    return;
  }
  let kv_head = row % args.kv_heads;
  let token = row / args.kv_heads % args.tokens;
  let sequence = row / (args.kv_heads * args.tokens);
  let share = args.heads / args.kv_heads;
  let key_start = args.key_offset + row * args.head_size;
  let value_start = args.value_offset + row * args.head_size;
  // Dimensions beyond the head repeat its last one; they are summed and not stored.
  let last = vec4u(args.head_size - 1u);
  let first = vec4u(index % tiles * 16u) + vec4u(0u, 1u, 2u, 3u);
  let dimensions0 = min(first, last);
  let dimensions1 = min(first + 4u, last);
  let dimensions2 = min(first + 8u, last);
  let dimensions3 = min(first + 12u, last);
  var key_sum0 = vec4f();
  var key_sum1 = vec4f();
  var key_sum2 = vec4f();
  var key_sum3 = vec4f();
  var value_sum0 = vec4f();
  var value_sum1 = vec4f();
  var value_sum2 = vec4f();
  var value_sum3 = vec4f();
  for (var head = kv_head * share; head < (kv_head + 1u) * share; head++) {
    for (var query_first = token; query_first < args.tokens; query_first += 4u) {
      let tokens = vec4u(query_first) + vec4u(0u, 1u, 2u, 3u);
      let counted = tokens < vec4u(args.tokens);
      let rows = (sequence * args.tokens + min(tokens, vec4u(args.tokens - 1u))) * args.heads + head;
      let query_starts = args.query_offset + rows * args.head_size;
      let gradient_starts = args.output_gradient_offset + rows * args.head_size;
      var scores = vec4f();
      var pulls = vec4f();
      for (var dimension = 0u; dimension < args.head_size; dimension++) {
        let queries = vec4f(
          query[query_starts.x + dimension],
          query[query_starts.y + dimension],
          query[query_starts.z + dimension],
          query[query_starts.w + dimension],
        );
        let gradients = vec4f(
          output_gradient[gradient_starts.x + dimension],
          output_gradient[gradient_starts.y + dimension],
          output_gradient[gradient_starts.z + dimension],
          output_gradient[gradient_starts.w + dimension],
        );
        scores = fma(vec4f(key[key_start + dimension]), queries, scores);
        pulls = fma(vec4f(value[value_start + dimension]), gradients, pulls);
      }
      let at = rows + args.log_sum_exp_offset;
      let log_sums = vec4f(log_sum_exp[at.x], log_sum_exp[at.y], log_sum_exp[at.z], log_sum_exp[at.w]);
      let delta_at = rows + args.delta_offset;
      let deltas = vec4f(delta[delta_at.x], delta[delta_at.y], delta[delta_at.z], delta[delta_at.w]);
      let probabilities = select(vec4f(), exp(scores * args.scale - log_sums), counted);
      let weights = probabilities * (pulls - deltas) * args.scale;
      for (var index_of_four = 0u; index_of_four < 4u; index_of_four++) {
        let weight = vec4f(weights[index_of_four]);
        let query_start = query_starts[index_of_four];
        key_sum0 = fma(weight, query_at(query_start, dimensions0), key_sum0);
        key_sum1 = fma(weight, query_at(query_start, dimensions1), key_sum1);
        key_sum2 = fma(weight, query_at(query_start, dimensions2), key_sum2);
        key_sum3 = fma(weight, query_at(query_start, dimensions3), key_sum3);
        let probability = vec4f(probabilities[index_of_four]);
        let gradient_start = gradient_starts[index_of_four];
        value_sum0 = fma(probability, gradient_at(gradient_start, dimensions0), value_sum0);
        value_sum1 = fma(probability, gradient_at(gradient_start, dimensions1), value_sum1);
        value_sum2 = fma(probability, gradient_at(gradient_start, dimensions2), value_sum2);
        value_sum3 = fma(probability, gradient_at(gradient_start, dimensions3), value_sum3);
      }
    }
  }
  let key_gradient_start = args.key_gradient_offset + row * args.head_size;
  store_key_gradient(key_gradient_start, first, key_sum0);
  store_key_gradient(key_gradient_start, first + 4u, key_sum1);
  store_key_gradient(key_gradient_start, first + 8u, key_sum2);
  store_key_gradient(key_gradient_start, first + 12u, key_sum3);
  let value_gradient_start = args.value_gradient_offset + row * args.head_size;
  store_value_gradient(value_gradient_start, first, value_sum0);
  store_value_gradient(value_gradient_start, first + 4u, value_sum1);
  store_value_gradient(value_gradient_start, first + 8u, value_sum2);
  store_value_gradient(value_gradient_start, first + 12u, value_sum3);
}
