// Causal attention without shared memory. One invocation four queries of one head and a tile of 16 dimensions; keys in
// fours with a running maximum (online softmax). Each tile computes the scores again, which spares any large buffer.
// Key blocks begin at position 0 for every query, so a row's sums do not depend on what stands beside it.

override workgroup_size: u32 = 64;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read_write> log_sum_exp: array<f32>;

const four = vec4u(0u, 1u, 2u, 3u);

fn value_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(value[at.x], value[at.y], value[at.z], value[at.w]);
}

fn largest_of(x: vec4f) -> f32 {
  return max(max(x.x, x.y), max(x.z, x.w));
}

fn sum_of(x: vec4f) -> f32 {
  return x.x + x.y + x.z + x.w;
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
      output[start + first + index] = values[index];
    }
  }
}

fn store(sequence: u32, token: u32, head: u32, first: u32, sum: mat4x4f, largest: f32, weight_sum: f32) {
  if (token >= args.tokens) {
    return;
  }
  let row = (sequence * args.tokens + token) * args.heads + head;
  let start = args.output_offset + row * args.head_size;
  let share = 1.0 / weight_sum;
  store_four(start, first, sum[0] * share);
  store_four(start, first + 4u, sum[1] * share);
  store_four(start, first + 8u, sum[2] * share);
  store_four(start, first + 12u, sum[3] * share);
  if (first == 0u) {
    log_sum_exp[args.log_sum_exp_offset + row] = largest + log(weight_sum);
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
  let kv_start = sequence * args.positions_max * args.kv_stride + kv_head * args.head_size;
  // Queries, keys and dimensions beyond the last repeat it; they are summed and not stored.
  let tokens = vec4u(block * 4u) + four;
  let rows = vec4u(sequence * args.tokens) + min(tokens, vec4u(args.tokens - 1u));
  let query_at = vec4u(args.query_offset + head * args.head_size) + rows * args.query_stride;
  let seen = vec4u(args.position_start + 1u) + min(tokens, vec4u(args.tokens - 1u));
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
  var largest = vec4f(-3.0e38);
  var weight_sum = vec4f();
  for (var key_first = 0u; key_first < seen.w; key_first += 4u) {
    let positions = vec4u(key_first) + four;
    let starts = vec4u(kv_start) + min(positions, vec4u(seen.w - 1u)) * args.kv_stride;
    let at = starts + args.key_offset;
    var scores0 = vec4f();
    var scores1 = vec4f();
    var scores2 = vec4f();
    var scores3 = vec4f();
    for (var dimension = 0u; dimension < args.head_size; dimension++) {
      let keys = vec4f(key[at.x + dimension], key[at.y + dimension], key[at.z + dimension], key[at.w + dimension]);
      scores0 = fma(vec4f(query[query_at.x + dimension]), keys, scores0);
      scores1 = fma(vec4f(query[query_at.y + dimension]), keys, scores1);
      scores2 = fma(vec4f(query[query_at.z + dimension]), keys, scores2);
      scores3 = fma(vec4f(query[query_at.w + dimension]), keys, scores3);
    }
    let unseen = vec4f(-3.0e38);
    scores0 = select(unseen, scores0 * args.scale, positions < vec4u(seen.x));
    scores1 = select(unseen, scores1 * args.scale, positions < vec4u(seen.y));
    scores2 = select(unseen, scores2 * args.scale, positions < vec4u(seen.z));
    scores3 = select(unseen, scores3 * args.scale, positions < vec4u(seen.w));
    let block_largest = vec4f(largest_of(scores0), largest_of(scores1), largest_of(scores2), largest_of(scores3));
    let new_largest = max(largest, block_largest);
    let keep = exp(largest - new_largest);
    let weights0 = select(vec4f(), exp(scores0 - new_largest.x), positions < vec4u(seen.x));
    let weights1 = select(vec4f(), exp(scores1 - new_largest.y), positions < vec4u(seen.y));
    let weights2 = select(vec4f(), exp(scores2 - new_largest.z), positions < vec4u(seen.z));
    let weights3 = select(vec4f(), exp(scores3 - new_largest.w), positions < vec4u(seen.w));
    largest = new_largest;
    weight_sum = weight_sum * keep + vec4f(sum_of(weights0), sum_of(weights1), sum_of(weights2), sum_of(weights3));
    sum0 *= keep.x;
    sum1 *= keep.y;
    sum2 *= keep.z;
    sum3 *= keep.w;
    for (var key_index = 0u; key_index < 4u; key_index++) {
      let start = args.value_offset + starts[key_index];
      let values = mat4x4f(
        value_at(start, dimensions0),
        value_at(start, dimensions1),
        value_at(start, dimensions2),
        value_at(start, dimensions3),
      );
      sum0 = add_weighted(sum0, weights0[key_index], values);
      sum1 = add_weighted(sum1, weights1[key_index], values);
      sum2 = add_weighted(sum2, weights2[key_index], values);
      sum3 = add_weighted(sum3, weights3[key_index], values);
    }
  }
  store(sequence, tokens.x, head, first, sum0, largest.x, weight_sum.x);
  store(sequence, tokens.y, head, first, sum1, largest.y, weight_sum.y);
  store(sequence, tokens.z, head, first, sum2, largest.z, weight_sum.z);
  store(sequence, tokens.w, head, first, sum3, largest.w, weight_sum.w);
}
