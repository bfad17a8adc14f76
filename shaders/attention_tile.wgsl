// Causal attention for GPUs, with shared tiles (as FlashAttention has them). One workgroup 32 queries of one head; keys in
// tiles of 32 with a running maximum; the head in chunks of 32 dimensions. An invocation scores four queries by four keys
// and sums four queries by four dimensions of each chunk. Key tiles begin at position 0 for every query. `chunks` is the
// head in chunks, up to 4; the workgroup has 64 invocations.

override workgroup_size: u32 = 64;
override chunks: u32 = 4;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read_write> log_sum_exp: array<f32>;

const four = vec4u(0u, 1u, 2u, 3u);

// [dimension, four queries], [dimension, four keys] or [key, four dimensions], and the weights [key, query].
var<workgroup> left: array<vec4f, 256>;
var<workgroup> right: array<vec4f, 256>;
var<workgroup> weights: array<f32, 1024>;
// Of each query what the eight invocations of its row have found.
var<workgroup> parts: array<f32, 256>;

fn largest_of(x: vec4f) -> f32 {
  return max(max(x.x, x.y), max(x.z, x.w));
}

fn sum_of(x: vec4f) -> f32 {
  return x.x + x.y + x.z + x.w;
}

fn add_outer(sum: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(rows.x), columns, sum[0]),
    fma(vec4f(rows.y), columns, sum[1]),
    fma(vec4f(rows.z), columns, sum[2]),
    fma(vec4f(rows.w), columns, sum[3]),
  );
}

fn largest_part(row: u32) -> f32 {
  var found = parts[row * 8u];
  for (var index = 1u; index < 8u; index++) {
    found = max(found, parts[row * 8u + index]);
  }
  return found;
}

fn sum_part(row: u32) -> f32 {
  var found = 0.0;
  for (var index = 0u; index < 8u; index++) {
    found += parts[row * 8u + index];
  }
  return found;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = group.y * groups.x + group.x;
  let blocks = (args.tokens + 31u) / 32u;
  let head = index % args.heads;
  // Late queries see the most keys, so they come first.
  let block = blocks - 1u - index / args.heads % blocks;
  let sequence = index / (args.heads * blocks);
  if (sequence >= args.sequences) {
    return;
  }
  let kv_head = head / (args.heads / args.kv_heads);
  let kv_start = sequence * args.positions_max * args.kv_stride + kv_head * args.head_size;
  let last_token = args.tokens - 1u;
  let keys = args.position_start + min(block * 32u + 31u, last_token) + 1u;
  let row = lane / 8u;
  let column = lane % 8u;
  let tokens = vec4u(block * 32u + row * 4u) + four;
  let seen = vec4u(args.position_start + 1u) + tokens;
  var sums: array<mat4x4f, 4>;
  var largest = vec4f(-3.0e38);
  var weight_sums = vec4f();
  for (var key_first = 0u; key_first < keys; key_first += 32u) {
    var scores = mat4x4f();
    for (var chunk = 0u; chunk < chunks; chunk++) {
      workgroupBarrier();
      for (var part = lane; part < 256u; part += 64u) {
        let dimension = chunk * 32u + part % 32u;
        let rows = vec4u(part / 32u * 4u) + four;
        let query_rows = sequence * args.tokens + min(vec4u(block * 32u) + rows, vec4u(last_token));
        let q = vec4u(args.query_offset + head * args.head_size + dimension) + query_rows * args.query_stride;
        let key_rows = min(vec4u(key_first) + rows, vec4u(keys - 1u));
        let k = vec4u(args.key_offset + kv_start + dimension) + key_rows * args.kv_stride;
        var queries = vec4f();
        var keys_there = vec4f();
        if (dimension < args.head_size) {
          queries = vec4f(query[q.x], query[q.y], query[q.z], query[q.w]);
          keys_there = vec4f(key[k.x], key[k.y], key[k.z], key[k.w]);
        }
        left[part % 32u * 8u + part / 32u] = queries;
        right[part % 32u * 8u + part / 32u] = keys_there;
      }
      workgroupBarrier();
      // No constant, as drivers unroll those and then compile for seconds.
      let dimensions = min(32u, args.head_size - chunk * 32u);
      for (var dimension = 0u; dimension < dimensions; dimension++) {
        scores = add_outer(scores, left[dimension * 8u + row], right[dimension * 8u + column]);
      }
    }
    let positions = vec4u(key_first + column * 4u) + four;
    let unseen = vec4f(-3.0e38);
    let within = positions < vec4u(keys);
    let seen0 = within & (positions < vec4u(seen.x));
    let seen1 = within & (positions < vec4u(seen.y));
    let seen2 = within & (positions < vec4u(seen.z));
    let seen3 = within & (positions < vec4u(seen.w));
    scores[0] = select(unseen, scores[0] * args.scale, seen0);
    scores[1] = select(unseen, scores[1] * args.scale, seen1);
    scores[2] = select(unseen, scores[2] * args.scale, seen2);
    scores[3] = select(unseen, scores[3] * args.scale, seen3);
    parts[(row * 4u + 0u) * 8u + column] = largest_of(scores[0]);
    parts[(row * 4u + 1u) * 8u + column] = largest_of(scores[1]);
    parts[(row * 4u + 2u) * 8u + column] = largest_of(scores[2]);
    parts[(row * 4u + 3u) * 8u + column] = largest_of(scores[3]);
    workgroupBarrier();
    let found = vec4f(
      largest_part(row * 4u),
      largest_part(row * 4u + 1u),
      largest_part(row * 4u + 2u),
      largest_part(row * 4u + 3u),
    );
    let new_largest = max(largest, found);
    let keep = exp(largest - new_largest);
    largest = new_largest;
    let none = vec4f();
    let shares = mat4x4f(
      select(none, exp(scores[0] - largest.x), seen0),
      select(none, exp(scores[1] - largest.y), seen1),
      select(none, exp(scores[2] - largest.z), seen2),
      select(none, exp(scores[3] - largest.w), seen3),
    );
    weight_sums = weight_sums * keep + vec4f(sum_of(shares[0]), sum_of(shares[1]), sum_of(shares[2]), sum_of(shares[3]));
    for (var own = 0u; own < 4u; own++) {
      for (var other = 0u; other < 4u; other++) {
        weights[(column * 4u + other) * 32u + row * 4u + own] = shares[own][other];
      }
    }
    for (var chunk = 0u; chunk < chunks; chunk++) {
      let sum = sums[chunk];
      sums[chunk] = mat4x4f(sum[0] * keep.x, sum[1] * keep.y, sum[2] * keep.z, sum[3] * keep.w);
    }
    for (var chunk = 0u; chunk < chunks; chunk++) {
      workgroupBarrier();
      for (var part = lane; part < 256u; part += 64u) {
        let dimensions = vec4u(chunk * 32u + part % 8u * 4u) + four;
        let start = args.value_offset + kv_start + min(key_first + part / 8u, keys - 1u) * args.kv_stride;
        let at = vec4u(start) + min(dimensions, vec4u(args.head_size - 1u));
        right[part] = vec4f(value[at.x], value[at.y], value[at.z], value[at.w]);
      }
      workgroupBarrier();
      var sum = sums[chunk];
      for (var position = 0u; position < min(32u, keys - key_first); position++) {
        let from_row = position * 32u + row * 4u;
        let rows = vec4f(weights[from_row], weights[from_row + 1u], weights[from_row + 2u], weights[from_row + 3u]);
        sum = add_outer(sum, rows, right[position * 8u + column]);
      }
      sums[chunk] = sum;
    }
  }
  workgroupBarrier();
  for (var own = 0u; own < 4u; own++) {
    parts[(row * 4u + own) * 8u + column] = weight_sums[own];
  }
  workgroupBarrier();
  for (var own = 0u; own < 4u; own++) {
    if (tokens[own] > last_token) {
      break;
    }
    let total = sum_part(row * 4u + own);
    let output_row = (sequence * args.tokens + tokens[own]) * args.heads + head;
    for (var chunk = 0u; chunk < chunks; chunk++) {
      let values = sums[chunk][own] / total;
      for (var other = 0u; other < 4u; other++) {
        let dimension = chunk * 32u + column * 4u + other;
        if (dimension < args.head_size) {
          output[args.output_offset + output_row * args.head_size + dimension] = values[other];
        }
      }
    }
    if (column == 0u) {
      log_sum_exp[args.log_sum_exp_offset + output_row] = largest[own] + log(total);
    }
  }
}
