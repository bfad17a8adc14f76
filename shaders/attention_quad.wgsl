// Causal attention as in `attention.wgsl` for adapters on which loads cost most: one invocation four queries of one head and a
// tile of 32 dimensions; its three neighbours have the queries after them and load keys and values for one another. Everything
// is read by four elements: offsets, strides and the head's size are multiples of four.

override workgroup_size: u32 = 16;

@group(0) @binding(1) var<storage, read> query: array<vec4f>;
@group(0) @binding(2) var<storage, read> key: array<vec4f>;
@group(0) @binding(3) var<storage, read> value: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> log_sum_exp: array<f32>;

const four = vec4u(0u, 1u, 2u, 3u);

fn largest_of(x: vec4f) -> f32 {
  return max(max(x.x, x.y), max(x.z, x.w));
}

fn sum_of(x: vec4f) -> f32 {
  return x.x + x.y + x.z + x.w;
}

fn scaled_rows(rows: mat4x4f, by: vec4f) -> mat4x4f {
  return mat4x4f(rows[0] * by.x, rows[1] * by.y, rows[2] * by.z, rows[3] * by.w);
}

fn store_four(start: vec4u, first: u32, sum: mat4x4f, known: vec4<bool>) {
  if (first < args.head_size) {
    let at = (start + first) / 4u;
    if (known.x) {
      output[at.x] = sum[0];
    }
    if (known.y) {
      output[at.y] = sum[1];
    }
    if (known.z) {
      output[at.z] = sum[2];
    }
    if (known.w) {
      output[at.w] = sum[3];
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
  let kv_start = sequence * args.positions_max * args.kv_stride + kv_head * args.head_size;
  // Queries, keys and dimensions beyond the last repeat it; they are summed and not stored.
  let last_token = args.tokens - 1u;
  let tokens = vec4u(block * 16u + lane * 4u) + four;
  let rows = vec4u(sequence * args.tokens) + min(tokens, vec4u(last_token));
  let query_at = (vec4u(args.query_offset + head * args.head_size) + rows * args.query_stride) / 4u;
  let seen = vec4u(args.position_start + 1u) + min(tokens, vec4u(last_token));
  let seen_by_quad = args.position_start + 1u + min(block * 16u + 15u, last_token);
  let width = args.head_size / 4u;
  var sum0 = mat4x4f();
  var sum1 = mat4x4f();
  var sum2 = mat4x4f();
  var sum3 = mat4x4f();
  var sum4 = mat4x4f();
  var sum5 = mat4x4f();
  var sum6 = mat4x4f();
  var sum7 = mat4x4f();
  var largest = vec4f(-3.0e38);
  var weight_sum = vec4f();
  for (var key_first = 0u; key_first < seen_by_quad; key_first += 4u) {
    let start = kv_start + min(key_first + lane, seen_by_quad - 1u) * args.kv_stride;
    let key_at = (args.key_offset + start) / 4u;
    var scores = mat4x4f();
    for (var d = 0u; d < width; d++) {
      let queries = mat4x4f(query[query_at.x + d], query[query_at.y + d], query[query_at.z + d], query[query_at.w + d]);
      scores = add_block(scores, queries, transpose(of_quad(key[key_at + d])));
    }
    let positions = vec4u(key_first) + four;
    let unseen = vec4f(-3.0e38);
    let scores0 = select(unseen, scores[0] * args.scale, positions < vec4u(seen.x));
    let scores1 = select(unseen, scores[1] * args.scale, positions < vec4u(seen.y));
    let scores2 = select(unseen, scores[2] * args.scale, positions < vec4u(seen.z));
    let scores3 = select(unseen, scores[3] * args.scale, positions < vec4u(seen.w));
    let block_largest = vec4f(largest_of(scores0), largest_of(scores1), largest_of(scores2), largest_of(scores3));
    let new_largest = max(largest, block_largest);
    let keep = exp(largest - new_largest);
    let weights0 = select(vec4f(), exp(scores0 - new_largest.x), positions < vec4u(seen.x));
    let weights1 = select(vec4f(), exp(scores1 - new_largest.y), positions < vec4u(seen.y));
    let weights2 = select(vec4f(), exp(scores2 - new_largest.z), positions < vec4u(seen.z));
    let weights3 = select(vec4f(), exp(scores3 - new_largest.w), positions < vec4u(seen.w));
    let weights = mat4x4f(weights0, weights1, weights2, weights3);
    largest = new_largest;
    weight_sum = weight_sum * keep + vec4f(sum_of(weights0), sum_of(weights1), sum_of(weights2), sum_of(weights3));
    let value_at = (args.value_offset + start) / 4u;
    let dimensions = first / 4u;
    sum0 = add_block(scaled_rows(sum0, keep), weights, of_quad(value[value_at + min(dimensions, width - 1u)]));
    sum1 = add_block(scaled_rows(sum1, keep), weights, of_quad(value[value_at + min(dimensions + 1u, width - 1u)]));
    sum2 = add_block(scaled_rows(sum2, keep), weights, of_quad(value[value_at + min(dimensions + 2u, width - 1u)]));
    sum3 = add_block(scaled_rows(sum3, keep), weights, of_quad(value[value_at + min(dimensions + 3u, width - 1u)]));
    sum4 = add_block(scaled_rows(sum4, keep), weights, of_quad(value[value_at + min(dimensions + 4u, width - 1u)]));
    sum5 = add_block(scaled_rows(sum5, keep), weights, of_quad(value[value_at + min(dimensions + 5u, width - 1u)]));
    sum6 = add_block(scaled_rows(sum6, keep), weights, of_quad(value[value_at + min(dimensions + 6u, width - 1u)]));
    sum7 = add_block(scaled_rows(sum7, keep), weights, of_quad(value[value_at + min(dimensions + 7u, width - 1u)]));
  }
  let known = tokens <= vec4u(last_token);
  let head_rows = rows * args.heads + head;
  let starts = args.output_offset + head_rows * args.head_size;
  let share = 1.0 / weight_sum;
  store_four(starts, first, scaled_rows(sum0, share), known);
  store_four(starts, first + 4u, scaled_rows(sum1, share), known);
  store_four(starts, first + 8u, scaled_rows(sum2, share), known);
  store_four(starts, first + 12u, scaled_rows(sum3, share), known);
  store_four(starts, first + 16u, scaled_rows(sum4, share), known);
  store_four(starts, first + 20u, scaled_rows(sum5, share), known);
  store_four(starts, first + 24u, scaled_rows(sum6, share), known);
  store_four(starts, first + 28u, scaled_rows(sum7, share), known);
  if (first == 0u) {
    let log_sums = largest + log(weight_sum);
    for (var index_in_four = 0u; index_in_four < 4u; index_in_four++) {
      if (known[index_in_four]) {
        log_sum_exp[args.log_sum_exp_offset + head_rows[index_in_four]] = log_sums[index_in_four];
      }
    }
  }
}
