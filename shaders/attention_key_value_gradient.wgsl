// Attention backward to keys and values, without shared memory: with p and s as in attention_query_gradient, the key's
// gradient = scale * sum of s * q and the value's = sum of p * output_gradient, over the query heads that share the key
// and over the tokens that see it, in order. One invocation two keys of one key head and a tile of 16 dimensions; queries
// in fours. `gradient` is packed as [row, heads of query, of key, of value].

override workgroup_size: u32 = 64;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(5) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(6) var<storage, read> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<f32>;

const four = vec4u(0u, 1u, 2u, 3u);

fn query_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(query[at.x], query[at.y], query[at.z], query[at.w]);
}

fn gradient_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
}

fn add_weighted(sum: mat4x4f, weight: f32, values: mat4x4f) -> mat4x4f {
  let w = vec4f(weight);
  return mat4x4f(
    fma(w, values[0], sum[0]),
    fma(w, values[1], sum[1]),
    fma(w, values[2], sum[2]),
    fma(w, values[3], sum[3]),
  );
}

fn store_four(start: u32, first: u32, values: vec4f) {
  for (var index = 0u; index < 4u; index++) {
    if (first + index < args.head_size) {
      gradient[start + first + index] = values[index];
    }
  }
}

fn store(packed: u32, first: u32, sum: mat4x4f) {
  let start = args.gradient_offset + packed * args.head_size;
  store_four(start, first, sum[0]);
  store_four(start, first + 4u, sum[1]);
  store_four(start, first + 8u, sum[2]);
  store_four(start, first + 12u, sum[3]);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let tiles = (args.head_size + 15u) / 16u;
  let pairs = (args.tokens + 1u) / 2u;
  let kv_head = index / tiles % args.kv_heads;
  let pair = index / (tiles * args.kv_heads) % pairs;
  let sequence = index / (tiles * args.kv_heads * pairs);
  if (sequence >= args.sequences) {
    return;
  }
  let share = args.heads / args.kv_heads;
  let last_token = args.tokens - 1u;
  // Keys, queries and dimensions beyond the last repeat it; they are summed and not stored.
  let own = vec2u(pair * 2u) + vec2u(0u, 1u);
  let own_rows = vec2u(sequence * args.tokens) + min(own, vec2u(last_token));
  let kv_at = own_rows * args.kv_stride + kv_head * args.head_size;
  let key_starts = kv_at + args.key_offset;
  let value_starts = kv_at + args.value_offset;
  let last = vec4u(args.head_size - 1u);
  let first = index % tiles * 16u;
  let dimensions0 = min(vec4u(first) + four, last);
  let dimensions1 = min(vec4u(first + 4u) + four, last);
  let dimensions2 = min(vec4u(first + 8u) + four, last);
  let dimensions3 = min(vec4u(first + 12u) + four, last);
  var key_sum0 = mat4x4f();
  var key_sum1 = mat4x4f();
  var value_sum0 = mat4x4f();
  var value_sum1 = mat4x4f();
  for (var head = kv_head * share; head < (kv_head + 1u) * share; head++) {
    for (var query_first = own.x; query_first < args.tokens; query_first += 4u) {
      let tokens = vec4u(query_first) + four;
      let token_rows = vec4u(sequence * args.tokens) + min(tokens, vec4u(last_token));
      let rows = token_rows * args.heads + head;
      let query_starts = vec4u(args.query_offset + head * args.head_size) + token_rows * args.query_stride;
      let gradient_starts = args.output_gradient_offset + rows * args.head_size;
      var scores0 = vec4f();
      var scores1 = vec4f();
      var pulls0 = vec4f();
      var pulls1 = vec4f();
      for (var d = 0u; d < args.head_size; d++) {
        let queries = vec4f(
          query[query_starts.x + d],
          query[query_starts.y + d],
          query[query_starts.z + d],
          query[query_starts.w + d],
        );
        scores0 = fma(vec4f(key[key_starts.x + d]), queries, scores0);
        scores1 = fma(vec4f(key[key_starts.y + d]), queries, scores1);
        let gradients = vec4f(
          output_gradient[gradient_starts.x + d],
          output_gradient[gradient_starts.y + d],
          output_gradient[gradient_starts.z + d],
          output_gradient[gradient_starts.w + d],
        );
        pulls0 = fma(vec4f(value[value_starts.x + d]), gradients, pulls0);
        pulls1 = fma(vec4f(value[value_starts.y + d]), gradients, pulls1);
      }
      let at = rows + args.log_sum_exp_offset;
      let log_sums = vec4f(log_sum_exp[at.x], log_sum_exp[at.y], log_sum_exp[at.z], log_sum_exp[at.w]);
      let delta_at = rows + args.delta_offset;
      let deltas = vec4f(delta[delta_at.x], delta[delta_at.y], delta[delta_at.z], delta[delta_at.w]);
      let counted0 = tokens < vec4u(args.tokens);
      let counted1 = counted0 & (tokens > vec4u(own.x));
      let shares0 = select(vec4f(), exp(scores0 * args.scale - log_sums), counted0);
      let shares1 = select(vec4f(), exp(scores1 * args.scale - log_sums), counted1);
      let weights0 = shares0 * (pulls0 - deltas) * args.scale;
      let weights1 = shares1 * (pulls1 - deltas) * args.scale;
      for (var query_index = 0u; query_index < 4u; query_index++) {
        let query_start = query_starts[query_index];
        let queries = mat4x4f(
          query_at(query_start, dimensions0),
          query_at(query_start, dimensions1),
          query_at(query_start, dimensions2),
          query_at(query_start, dimensions3),
        );
        key_sum0 = add_weighted(key_sum0, weights0[query_index], queries);
        key_sum1 = add_weighted(key_sum1, weights1[query_index], queries);
        let gradient_start = gradient_starts[query_index];
        let gradients = mat4x4f(
          gradient_at(gradient_start, dimensions0),
          gradient_at(gradient_start, dimensions1),
          gradient_at(gradient_start, dimensions2),
          gradient_at(gradient_start, dimensions3),
        );
        value_sum0 = add_weighted(value_sum0, shares0[query_index], gradients);
        value_sum1 = add_weighted(value_sum1, shares1[query_index], gradients);
      }
    }
  }
  let row_heads = args.heads + 2u * args.kv_heads;
  let key_place = own_rows * row_heads + args.heads + kv_head;
  let value_place = key_place + args.kv_heads;
  store(key_place.x, first, key_sum0);
  store(value_place.x, first, value_sum0);
  if (own.y <= last_token) {
    store(key_place.y, first, key_sum1);
    store(value_place.y, first, value_sum1);
  }
}
