// Attention backward to the queries, without shared memory: with p = exp(scale * q.k - log_sum_exp) and
// s = p * (output_gradient.v - delta), the query's gradient = scale * sum over keys of s * k, where delta = sum over a
// head of output * output_gradient; delta is kept for the keys' kernel. One invocation four queries of one head and a tile
// of 16 dimensions; keys in fours. `gradient` is packed as [row, heads of query, of key, of value].

override workgroup_size: u32 = 64;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> output: array<f32>;
@group(0) @binding(5) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(6) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;
@group(0) @binding(8) var<storage, read_write> gradient: array<f32>;

const four = vec4u(0u, 1u, 2u, 3u);

fn key_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(key[at.x], key[at.y], key[at.z], key[at.w]);
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

fn delta_of(row: u32) -> f32 {
  var sum = 0.0;
  for (var dimension = row * args.head_size; dimension < (row + 1u) * args.head_size; dimension++) {
    sum = fma(output[args.output_offset + dimension], output_gradient[args.output_gradient_offset + dimension], sum);
  }
  return sum;
}

fn store_four(start: u32, first: u32, values: vec4f) {
  for (var index = 0u; index < 4u; index++) {
    if (first + index < args.head_size) {
      gradient[start + first + index] = values[index];
    }
  }
}

fn store(sequence: u32, token: u32, head: u32, first: u32, sum: mat4x4f, row_delta: f32) {
  if (token >= args.tokens) {
    return;
  }
  let row = sequence * args.tokens + token;
  let packed = row * (args.heads + 2u * args.kv_heads) + head;
  let start = args.gradient_offset + packed * args.head_size;
  store_four(start, first, sum[0]);
  store_four(start, first + 4u, sum[1]);
  store_four(start, first + 8u, sum[2]);
  store_four(start, first + 12u, sum[3]);
  if (first == 0u) {
    delta[args.delta_offset + row * args.heads + head] = row_delta;
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let tiles = (args.head_size + 15u) / 16u;
  let blocks = (args.tokens + 3u) / 4u;
  let head = index / tiles % args.heads;
  let block = index / (tiles * args.heads) % blocks;
  let sequence = index / (tiles * args.heads * blocks);
  if (sequence >= args.sequences) {
    return;
  }
  let kv_head = head / (args.heads / args.kv_heads);
  let kv_start = sequence * args.tokens * args.kv_stride + kv_head * args.head_size;
  // Queries, keys and dimensions beyond the last repeat it; they are summed and not stored.
  let tokens = vec4u(block * 4u) + four;
  let known = min(tokens, vec4u(args.tokens - 1u));
  let token_rows = vec4u(sequence * args.tokens) + known;
  let query_at = vec4u(args.query_offset + head * args.head_size) + token_rows * args.query_stride;
  let rows = token_rows * args.heads + head;
  let gradient_at = vec4u(args.output_gradient_offset) + rows * args.head_size;
  let log_at = rows + args.log_sum_exp_offset;
  let log_sums = vec4f(log_sum_exp[log_at.x], log_sum_exp[log_at.y], log_sum_exp[log_at.z], log_sum_exp[log_at.w]);
  let deltas = vec4f(delta_of(rows.x), delta_of(rows.y), delta_of(rows.z), delta_of(rows.w));
  let last = vec4u(args.head_size - 1u);
  let first = index % tiles * 16u;
  let dimensions0 = min(vec4u(first) + four, last);
  let dimensions1 = min(vec4u(first + 4u) + four, last);
  let dimensions2 = min(vec4u(first + 8u) + four, last);
  let dimensions3 = min(vec4u(first + 12u) + four, last);
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  for (var key_first = 0u; key_first <= known.w; key_first += 4u) {
    let positions = vec4u(key_first) + four;
    let starts = vec4u(kv_start) + min(positions, vec4u(known.w)) * args.kv_stride;
    let at = starts + args.key_offset;
    let value_at = starts + args.value_offset;
    var scores0 = vec4f();
    var scores1 = vec4f();
    var scores2 = vec4f();
    var scores3 = vec4f();
    var pulls0 = vec4f();
    var pulls1 = vec4f();
    var pulls2 = vec4f();
    var pulls3 = vec4f();
    for (var d = 0u; d < args.head_size; d++) {
      let keys = vec4f(key[at.x + d], key[at.y + d], key[at.z + d], key[at.w + d]);
      scores0 = fma(vec4f(query[query_at.x + d]), keys, scores0);
      scores1 = fma(vec4f(query[query_at.y + d]), keys, scores1);
      scores2 = fma(vec4f(query[query_at.z + d]), keys, scores2);
      scores3 = fma(vec4f(query[query_at.w + d]), keys, scores3);
      let values = vec4f(value[value_at.x + d], value[value_at.y + d], value[value_at.z + d], value[value_at.w + d]);
      pulls0 = fma(vec4f(output_gradient[gradient_at.x + d]), values, pulls0);
      pulls1 = fma(vec4f(output_gradient[gradient_at.y + d]), values, pulls1);
      pulls2 = fma(vec4f(output_gradient[gradient_at.z + d]), values, pulls2);
      pulls3 = fma(vec4f(output_gradient[gradient_at.w + d]), values, pulls3);
    }
    let none = vec4f();
    let weights0 = exp(scores0 * args.scale - log_sums.x) * (pulls0 - deltas.x) * args.scale;
    let weights1 = exp(scores1 * args.scale - log_sums.y) * (pulls1 - deltas.y) * args.scale;
    let weights2 = exp(scores2 * args.scale - log_sums.z) * (pulls2 - deltas.z) * args.scale;
    let weights3 = exp(scores3 * args.scale - log_sums.w) * (pulls3 - deltas.w) * args.scale;
    let seen0 = select(none, weights0, positions <= vec4u(known.x));
    let seen1 = select(none, weights1, positions <= vec4u(known.y));
    let seen2 = select(none, weights2, positions <= vec4u(known.z));
    let seen3 = select(none, weights3, positions <= vec4u(known.w));
    for (var key_index = 0u; key_index < 4u; key_index++) {
      let start = at[key_index];
      let keys = mat4x4f(
        key_at(start, dimensions0),
        key_at(start, dimensions1),
        key_at(start, dimensions2),
        key_at(start, dimensions3),
      );
      sum0 = add_weighted(sum0, seen0[key_index], keys);
      sum1 = add_weighted(sum1, seen1[key_index], keys);
      sum2 = add_weighted(sum2, seen2[key_index], keys);
      sum3 = add_weighted(sum3, seen3[key_index], keys);
    }
  }
  store(sequence, tokens.x, head, first, sum0, deltas.x);
  store(sequence, tokens.y, head, first, sum1, deltas.y);
  store(sequence, tokens.z, head, first, sum2, deltas.z);
  store(sequence, tokens.w, head, first, sum3, deltas.w);
}
