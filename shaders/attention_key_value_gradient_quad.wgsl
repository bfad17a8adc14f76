// Attention backward to keys and values as in `attention_key_value_gradient.wgsl` for adapters on which loads cost most: one
// invocation four keys of one key head and a tile of 32 dimensions; its three neighbours have the keys after them and load
// queries for one another. Everything is read by four elements: offsets, strides and the head's size are multiples of four.

override workgroup_size: u32 = 16;

@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(5) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(6) var<storage, read> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<vec4f>;

const four = vec4u(0u, 1u, 2u, 3u);

fn store_four(packed: vec4u, first: u32, sum: mat4x4f, known: vec4<bool>) {
  if (first < args.head_size) {
    let at = (args.gradient_offset + packed * args.head_size + first) / 4u;
    if (known.x) {
      gradient[at.x] = sum[0];
    }
    if (known.y) {
      gradient[at.y] = sum[1];
    }
    if (known.z) {
      gradient[at.z] = sum[2];
    }
    if (known.w) {
      gradient[at.w] = sum[3];
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let lane = index % 4u;
  let quad = index / 4u;
  let tiles = (args.head_size + 31u) / 32u;
  let blocks = (args.tokens + 15u) / 16u;
  let block = quad % blocks;
  let first = quad / blocks % tiles * 32u;
  let kv_head = quad / (blocks * tiles) % args.kv_heads;
  let sequence = quad / (blocks * tiles * args.kv_heads);
  if (sequence >= args.sequences) {
    return;
  }
  let share = args.heads / args.kv_heads;
  let last_token = args.tokens - 1u;
  // Keys, queries and dimensions beyond the last repeat it; they are summed and not stored.
  let keys_own = vec4u(block * 16u + lane * 4u) + four;
  let own_rows = vec4u(sequence * args.tokens) + min(keys_own, vec4u(last_token));
  let kv_at = own_rows * args.kv_stride + kv_head * args.head_size;
  let key_at = (kv_at + args.key_offset) / 4u;
  let value_at = (kv_at + args.value_offset) / 4u;
  let width = args.head_size / 4u;
  let dimensions = first / 4u;
  var key_sum0 = mat4x4f();
  var key_sum1 = mat4x4f();
  var key_sum2 = mat4x4f();
  var key_sum3 = mat4x4f();
  var key_sum4 = mat4x4f();
  var key_sum5 = mat4x4f();
  var key_sum6 = mat4x4f();
  var key_sum7 = mat4x4f();
  var value_sum0 = mat4x4f();
  var value_sum1 = mat4x4f();
  var value_sum2 = mat4x4f();
  var value_sum3 = mat4x4f();
  var value_sum4 = mat4x4f();
  var value_sum5 = mat4x4f();
  var value_sum6 = mat4x4f();
  var value_sum7 = mat4x4f();
  for (var head = kv_head * share; head < (kv_head + 1u) * share; head++) {
    for (var query_first = block * 16u; query_first < args.tokens; query_first += 4u) {
      let token_row = sequence * args.tokens + min(query_first + lane, last_token);
      let row = token_row * args.heads + head;
      let query_at = (args.query_offset + head * args.head_size + token_row * args.query_stride) / 4u;
      let gradient_at = (args.output_gradient_offset + row * args.head_size) / 4u;
      // For each of the own keys, of four queries.
      var scores = mat4x4f();
      var pulls = mat4x4f();
      for (var d = 0u; d < width; d++) {
        let keys = mat4x4f(key[key_at.x + d], key[key_at.y + d], key[key_at.z + d], key[key_at.w + d]);
        scores = add_block(scores, keys, transpose(of_quad(query[query_at + d])));
        let values = mat4x4f(value[value_at.x + d], value[value_at.y + d], value[value_at.z + d], value[value_at.w + d]);
        pulls = add_block(pulls, values, transpose(of_quad(output_gradient[gradient_at + d])));
      }
      let own_log_sum = log_sum_exp[args.log_sum_exp_offset + row];
      let own_delta = delta[args.delta_offset + row];
      let sums = of_quad(vec4f(own_log_sum, own_delta, 0.0, 0.0));
      let log_sums = vec4f(sums[0].x, sums[1].x, sums[2].x, sums[3].x);
      let deltas = vec4f(sums[0].y, sums[1].y, sums[2].y, sums[3].y);
      let tokens = vec4u(query_first) + four;
      let counted = tokens < vec4u(args.tokens);
      let none = vec4f();
      let shares = mat4x4f(
        select(none, exp(scores[0] * args.scale - log_sums), counted & (tokens >= vec4u(keys_own.x))),
        select(none, exp(scores[1] * args.scale - log_sums), counted & (tokens >= vec4u(keys_own.y))),
        select(none, exp(scores[2] * args.scale - log_sums), counted & (tokens >= vec4u(keys_own.z))),
        select(none, exp(scores[3] * args.scale - log_sums), counted & (tokens >= vec4u(keys_own.w))),
      );
      let weights = mat4x4f(
        shares[0] * (pulls[0] - deltas) * args.scale,
        shares[1] * (pulls[1] - deltas) * args.scale,
        shares[2] * (pulls[2] - deltas) * args.scale,
        shares[3] * (pulls[3] - deltas) * args.scale,
      );
      let d0 = min(dimensions, width - 1u);
      let d1 = min(dimensions + 1u, width - 1u);
      let d2 = min(dimensions + 2u, width - 1u);
      let d3 = min(dimensions + 3u, width - 1u);
      let d4 = min(dimensions + 4u, width - 1u);
      let d5 = min(dimensions + 5u, width - 1u);
      let d6 = min(dimensions + 6u, width - 1u);
      let d7 = min(dimensions + 7u, width - 1u);
      key_sum0 = add_block(key_sum0, weights, of_quad(query[query_at + d0]));
      key_sum1 = add_block(key_sum1, weights, of_quad(query[query_at + d1]));
      key_sum2 = add_block(key_sum2, weights, of_quad(query[query_at + d2]));
      key_sum3 = add_block(key_sum3, weights, of_quad(query[query_at + d3]));
      key_sum4 = add_block(key_sum4, weights, of_quad(query[query_at + d4]));
      key_sum5 = add_block(key_sum5, weights, of_quad(query[query_at + d5]));
      key_sum6 = add_block(key_sum6, weights, of_quad(query[query_at + d6]));
      key_sum7 = add_block(key_sum7, weights, of_quad(query[query_at + d7]));
      value_sum0 = add_block(value_sum0, shares, of_quad(output_gradient[gradient_at + d0]));
      value_sum1 = add_block(value_sum1, shares, of_quad(output_gradient[gradient_at + d1]));
      value_sum2 = add_block(value_sum2, shares, of_quad(output_gradient[gradient_at + d2]));
      value_sum3 = add_block(value_sum3, shares, of_quad(output_gradient[gradient_at + d3]));
      value_sum4 = add_block(value_sum4, shares, of_quad(output_gradient[gradient_at + d4]));
      value_sum5 = add_block(value_sum5, shares, of_quad(output_gradient[gradient_at + d5]));
      value_sum6 = add_block(value_sum6, shares, of_quad(output_gradient[gradient_at + d6]));
      value_sum7 = add_block(value_sum7, shares, of_quad(output_gradient[gradient_at + d7]));
    }
  }
  let known = keys_own <= vec4u(last_token);
  let row_heads = args.heads + 2u * args.kv_heads;
  let key_place = own_rows * row_heads + args.heads + kv_head;
  let value_place = key_place + args.kv_heads;
  store_four(key_place, first, key_sum0, known);
  store_four(key_place, first + 4u, key_sum1, known);
  store_four(key_place, first + 8u, key_sum2, known);
  store_four(key_place, first + 12u, key_sum3, known);
  store_four(key_place, first + 16u, key_sum4, known);
  store_four(key_place, first + 20u, key_sum5, known);
  store_four(key_place, first + 24u, key_sum6, known);
  store_four(key_place, first + 28u, key_sum7, known);
  store_four(value_place, first, value_sum0, known);
  store_four(value_place, first + 4u, value_sum1, known);
  store_four(value_place, first + 8u, value_sum2, known);
  store_four(value_place, first + 12u, value_sum3, known);
  store_four(value_place, first + 16u, value_sum4, known);
  store_four(value_place, first + 20u, value_sum5, known);
  store_four(value_place, first + 24u, value_sum6, known);
  store_four(value_place, first + 28u, value_sum7, known);
}
