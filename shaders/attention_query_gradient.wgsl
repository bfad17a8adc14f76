// Attention backward to the queries: with p = exp(scale * q.k - log_sum_exp) and s = p * (output_gradient.v - delta),
// query_gradient = scale * sum over keys of s * k. One invocation a query row, head and tile of 16 dimensions; keys in
// fours.

override workgroup_size: u32 = 64;

struct Arguments {
  query_offset: u32,
  key_offset: u32,
  value_offset: u32,
  output_gradient_offset: u32,
  log_sum_exp_offset: u32,
  delta_offset: u32,
  query_gradient_offset: u32,
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
@group(0) @binding(7) var<storage, read_write> query_gradient: array<f32>;

fn key_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(key[at.x], key[at.y], key[at.z], key[at.w]);
}

fn store_query_gradient(start: u32, first: vec4u, values: vec4f) {
  for (var index = 0u; index < 4u; index++) {
    if (first[index] < args.head_size) {
      query_gradient[start + first[index]] = values[index];
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let tiles = (args.head_size + 15u) / 16u;
  let row = index / tiles;
  if (row >= args.sequences * args.tokens * args.heads) {
    return;
  }
  let head = row % args.heads;
  let token = row / args.heads % args.tokens;
  let sequence = row / (args.heads * args.tokens);
  let kv_head = head / (args.heads / args.kv_heads);
  let kv_width = args.kv_heads * args.head_size;
  let kv_start = sequence * args.positions_max * kv_width + kv_head * args.head_size;
  let query_start = args.query_offset + row * args.head_size;
  let gradient_start = args.output_gradient_offset + row * args.head_size;
  let row_log_sum = log_sum_exp[args.log_sum_exp_offset + row];
  let row_delta = delta[args.delta_offset + row];
  let keys = args.position_start + token + 1u;
  // Dimensions beyond the head repeat its last one; they are summed and not stored.
  let last = vec4u(args.head_size - 1u);
  let first = vec4u(index % tiles * 16u) + vec4u(0u, 1u, 2u, 3u);
  let dimensions0 = min(first, last);
  let dimensions1 = min(first + 4u, last);
  let dimensions2 = min(first + 8u, last);
  let dimensions3 = min(first + 12u, last);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var key_first = 0u; key_first < keys; key_first += 4u) {
    let positions = vec4u(key_first) + vec4u(0u, 1u, 2u, 3u);
    let starts = vec4u(kv_start) + min(positions, vec4u(keys - 1u)) * kv_width;
    let at = starts + args.key_offset;
    let value_at = starts + args.value_offset;
    var scores = vec4f();
    var pulls = vec4f();
    for (var dimension = 0u; dimension < args.head_size; dimension++) {
      let four = vec4f(key[at.x + dimension], key[at.y + dimension], key[at.z + dimension], key[at.w + dimension]);
      scores = fma(vec4f(query[query_start + dimension]), four, scores);
      let values = vec4f(
        value[value_at.x + dimension],
        value[value_at.y + dimension],
        value[value_at.z + dimension],
        value[value_at.w + dimension],
      );
      pulls = fma(vec4f(output_gradient[gradient_start + dimension]), values, pulls);
    }
    let weights = exp(scores * args.scale - row_log_sum) * (pulls - row_delta) * args.scale;
    let counted = select(vec4f(), weights, positions < vec4u(keys));
    for (var index_of_four = 0u; index_of_four < 4u; index_of_four++) {
      let weight = vec4f(counted[index_of_four]);
      let start = at[index_of_four];
      sum0 = fma(weight, key_at(start, dimensions0), sum0);
      sum1 = fma(weight, key_at(start, dimensions1), sum1);
      sum2 = fma(weight, key_at(start, dimensions2), sum2);
      sum3 = fma(weight, key_at(start, dimensions3), sum3);
    }
  }
  let start = args.query_gradient_offset + row * args.head_size;
  store_query_gradient(start, first, sum0);
  store_query_gradient(start, first + 4u, sum1);
  store_query_gradient(start, first + 8u, sum2);
  store_query_gradient(start, first + 12u, sum3);
}
