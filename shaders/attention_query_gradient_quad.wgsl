// Attention backward to the queries as in `attention_query_gradient.wgsl` for adapters on which loads cost most: one invocation
// four queries of one head and a tile of 32 dimensions; its three neighbours have the queries after them and load keys and
// values for one another. Everything is read by four elements: offsets, strides and the head's size are multiples of four.

override workgroup_size: u32 = 16;

@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read> output: array<vec4f>;
@group(0) @binding(5) var<storage, read> output_gradient: array<vec4f>;
@group(0) @binding(6) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;
@group(0) @binding(8) var<storage, read_write> gradient: array<vec4f>;

const four = vec4u(0u, 1u, 2u, 3u);

fn delta_of(row: u32) -> f32 {
  let output_at = (args.output_offset + row * args.head_size) / 4u;
  let gradient_at = (args.output_gradient_offset + row * args.head_size) / 4u;
  var sum = vec4f();
  for (var d = 0u; d < args.head_size / 4u; d++) {
    sum = fma(output[output_at + d], output_gradient[gradient_at + d], sum);
  }
  return sum.x + sum.y + sum.z + sum.w;
}

fn store_four(starts: vec4u, first: u32, sum: mat4x4f, known: vec4<bool>) {
  if (first < args.head_size) {
    let at = (starts + first) / 4u;
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
  let head = quad / (blocks * tiles) % args.heads;
  let sequence = quad / (blocks * tiles * args.heads);
  if (sequence >= args.sequences) {
    return;
  }
  let kv_head = head / (args.heads / args.kv_heads);
  let kv_start = sequence * args.tokens * args.kv_stride + kv_head * args.head_size;
  // Queries, keys and dimensions beyond the last repeat it; they are summed and not stored.
  let last_token = args.tokens - 1u;
  let tokens = vec4u(block * 16u + lane * 4u) + four;
  let own = min(tokens, vec4u(last_token));
  let last_of_quad = min(block * 16u + 15u, last_token);
  let token_rows = vec4u(sequence * args.tokens) + own;
  let query_at = (vec4u(args.query_offset + head * args.head_size) + token_rows * args.query_stride) / 4u;
  let rows = token_rows * args.heads + head;
  let gradient_at = (vec4u(args.output_gradient_offset) + rows * args.head_size) / 4u;
  let log_at = rows + args.log_sum_exp_offset;
  let log_sums = vec4f(log_sum_exp[log_at.x], log_sum_exp[log_at.y], log_sum_exp[log_at.z], log_sum_exp[log_at.w]);
  let deltas = vec4f(delta_of(rows.x), delta_of(rows.y), delta_of(rows.z), delta_of(rows.w));
  let width = args.head_size / 4u;
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  var sum4 = mat4x4f();
  var sum5 = mat4x4f();
  var sum6 = mat4x4f();
  var sum7 = mat4x4f();
  for (var key_first = 0u; key_first <= last_of_quad; key_first += 4u) {
    let start = kv_start + min(key_first + lane, last_of_quad) * args.kv_stride;
    let key_at = (args.key_offset + start) / 4u;
    let value_at = (args.value_offset + start) / 4u;
    var scores = mat4x4f();
    var pulls = mat4x4f();
    for (var d = 0u; d < width; d++) {
      let queries = mat4x4f(query[query_at.x + d], query[query_at.y + d], query[query_at.z + d], query[query_at.w + d]);
      scores = add_block(scores, queries, transpose(of_quad(key[key_at + d])));
      let gradients = mat4x4f(
        output_gradient[gradient_at.x + d],
        output_gradient[gradient_at.y + d],
        output_gradient[gradient_at.z + d],
        output_gradient[gradient_at.w + d],
      );
      pulls = add_block(pulls, gradients, transpose(of_quad(value[value_at + d])));
    }
    let positions = vec4u(key_first) + four;
    let none = vec4f();
    let weights0 = exp(scores[0] * args.scale - log_sums.x) * (pulls[0] - deltas.x) * args.scale;
    let weights1 = exp(scores[1] * args.scale - log_sums.y) * (pulls[1] - deltas.y) * args.scale;
    let weights2 = exp(scores[2] * args.scale - log_sums.z) * (pulls[2] - deltas.z) * args.scale;
    let weights3 = exp(scores[3] * args.scale - log_sums.w) * (pulls[3] - deltas.w) * args.scale;
    let weights = mat4x4f(
      select(none, weights0, positions <= vec4u(own.x)),
      select(none, weights1, positions <= vec4u(own.y)),
      select(none, weights2, positions <= vec4u(own.z)),
      select(none, weights3, positions <= vec4u(own.w)),
    );
    let dimensions = first / 4u;
    sum0 = add_block(sum0, weights, of_quad(key[key_at + min(dimensions, width - 1u)]));
    sum1 = add_block(sum1, weights, of_quad(key[key_at + min(dimensions + 1u, width - 1u)]));
    sum2 = add_block(sum2, weights, of_quad(key[key_at + min(dimensions + 2u, width - 1u)]));
    sum3 = add_block(sum3, weights, of_quad(key[key_at + min(dimensions + 3u, width - 1u)]));
    sum4 = add_block(sum4, weights, of_quad(key[key_at + min(dimensions + 4u, width - 1u)]));
    sum5 = add_block(sum5, weights, of_quad(key[key_at + min(dimensions + 5u, width - 1u)]));
    sum6 = add_block(sum6, weights, of_quad(key[key_at + min(dimensions + 6u, width - 1u)]));
    sum7 = add_block(sum7, weights, of_quad(key[key_at + min(dimensions + 7u, width - 1u)]));
  }
  let known = tokens <= vec4u(last_token);
  let packed = token_rows * (args.heads + 2u * args.kv_heads) + head;
  let starts = args.gradient_offset + packed * args.head_size;
  store_four(starts, first, sum0, known);
  store_four(starts, first + 4u, sum1, known);
  store_four(starts, first + 8u, sum2, known);
  store_four(starts, first + 12u, sum3, known);
  store_four(starts, first + 16u, sum4, known);
  store_four(starts, first + 20u, sum5, known);
  store_four(starts, first + 24u, sum6, known);
  store_four(starts, first + 28u, sum7, known);
  if (first == 0u) {
    for (var index_in_four = 0u; index_in_four < 4u; index_in_four++) {
      if (known[index_in_four]) {
        delta[args.delta_offset + rows[index_in_four]] = deltas[index_in_four];
      }
    }
  }
}
