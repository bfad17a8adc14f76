// Attention backward to the queries for GPUs, with shared tiles; the formulas stand in attention_query_gradient.wgsl. One
// workgroup 32 queries of one head; keys in tiles of 32; the head in chunks of 32 dimensions. An invocation takes four
// queries by four keys, and sums four queries by four dimensions of each chunk. `chunks` is the head in chunks, up to 4; the
// workgroup has 64 invocations.

override workgroup_size: u32 = 64;
override chunks: u32 = 4;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> output: array<f32>;
@group(0) @binding(5) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(6) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;
@group(0) @binding(8) var<storage, read_write> gradient: array<f32>;

const four = vec4u(0u, 1u, 2u, 3u);

// [dimension, four queries], [dimension, four keys] or [key, four dimensions], and the weights [key, query].
var<workgroup> left: array<vec4f, 256>;
var<workgroup> right: array<vec4f, 256>;
var<workgroup> weights: array<f32, 1024>;
// Of each query half a head's share of its delta.
var<workgroup> parts: array<f32, 64>;

fn add_outer(sum: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(rows.x), columns, sum[0]),
    fma(vec4f(rows.y), columns, sum[1]),
    fma(vec4f(rows.z), columns, sum[2]),
    fma(vec4f(rows.w), columns, sum[3]),
  );
}

fn half_delta(row: u32, half: u32) -> f32 {
  let start = row * args.head_size;
  var sum = 0.0;
  for (var dimension = start + half; dimension < start + args.head_size; dimension += 2u) {
    sum = fma(output[args.output_offset + dimension], output_gradient[args.output_gradient_offset + dimension], sum);
  }
  return sum;
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
  let last_token = args.tokens - 1u;
  let keys = min(block * 32u + 31u, last_token) + 1u;
  let kv_start = sequence * args.tokens * args.kv_stride + kv_head * args.head_size;
  let row = lane / 8u;
  let column = lane % 8u;
  let tokens = vec4u(block * 32u + row * 4u) + four;
  let rows_of_four = (sequence * args.tokens + min(tokens, vec4u(last_token))) * args.heads + head;
  let log_at = rows_of_four + args.log_sum_exp_offset;
  let log_sums = vec4f(log_sum_exp[log_at.x], log_sum_exp[log_at.y], log_sum_exp[log_at.z], log_sum_exp[log_at.w]);
  let delta_token = sequence * args.tokens + min(block * 32u + lane / 2u, last_token);
  parts[lane] = half_delta(delta_token * args.heads + head, lane % 2u);
  workgroupBarrier();
  let pair = row * 8u;
  let deltas = vec4f(
    parts[pair] + parts[pair + 1u],
    parts[pair + 2u] + parts[pair + 3u],
    parts[pair + 4u] + parts[pair + 5u],
    parts[pair + 6u] + parts[pair + 7u],
  );
  var sums: array<mat4x4f, 4>;
  for (var key_first = 0u; key_first < keys; key_first += 32u) {
    var scores = mat4x4f();
    var pulls = mat4x4f();
    for (var chunk = 0u; chunk < 2u * chunks; chunk++) {
      // Queries by keys first, then the output's gradients by values.
      let is_pull = chunk >= chunks;
      workgroupBarrier();
      for (var part = lane; part < 256u; part += 64u) {
        let dimension = chunk % chunks * 32u + part % 32u;
        let rows = vec4u(part / 32u * 4u) + four;
        let query_rows = sequence * args.tokens + min(vec4u(block * 32u) + rows, vec4u(last_token));
        let kv = vec4u(kv_start + dimension) + min(vec4u(key_first) + rows, vec4u(keys - 1u)) * args.kv_stride;
        var lefts = vec4f();
        var rights = vec4f();
        if (dimension < args.head_size && is_pull) {
          let width = args.heads * args.head_size;
          let g = vec4u(args.output_gradient_offset + head * args.head_size + dimension) + query_rows * width;
          let v = kv + args.value_offset;
          lefts = vec4f(output_gradient[g.x], output_gradient[g.y], output_gradient[g.z], output_gradient[g.w]);
          rights = vec4f(value[v.x], value[v.y], value[v.z], value[v.w]);
        } else if (dimension < args.head_size) {
          let q = vec4u(args.query_offset + head * args.head_size + dimension) + query_rows * args.query_stride;
          let k = kv + args.key_offset;
          lefts = vec4f(query[q.x], query[q.y], query[q.z], query[q.w]);
          rights = vec4f(key[k.x], key[k.y], key[k.z], key[k.w]);
        }
        left[part % 32u * 8u + part / 32u] = lefts;
        right[part % 32u * 8u + part / 32u] = rights;
      }
      workgroupBarrier();
      var sum = mat4x4f();
      // No constant, as drivers unroll those and then compile for seconds.
      let dimensions = min(32u, args.head_size - chunk % chunks * 32u);
      for (var dimension = 0u; dimension < dimensions; dimension++) {
        sum = add_outer(sum, left[dimension * 8u + row], right[dimension * 8u + column]);
      }
      if (is_pull) {
        pulls += sum;
      } else {
        scores += sum;
      }
    }
    let positions = vec4u(key_first + column * 4u) + four;
    for (var own = 0u; own < 4u; own++) {
      let shares = exp(scores[own] * args.scale - log_sums[own]);
      let pulled = shares * (pulls[own] - deltas[own]) * args.scale;
      let seen = (positions <= vec4u(tokens[own])) & (positions < vec4u(keys));
      let counted = select(vec4f(), pulled, seen);
      for (var other = 0u; other < 4u; other++) {
        weights[(column * 4u + other) * 32u + row * 4u + own] = counted[other];
      }
    }
    for (var chunk = 0u; chunk < chunks; chunk++) {
      workgroupBarrier();
      for (var part = lane; part < 256u; part += 64u) {
        let dimensions = vec4u(chunk * 32u + part % 8u * 4u) + four;
        let start = args.key_offset + kv_start + min(key_first + part / 8u, keys - 1u) * args.kv_stride;
        let at = vec4u(start) + min(dimensions, vec4u(args.head_size - 1u));
        right[part] = vec4f(key[at.x], key[at.y], key[at.z], key[at.w]);
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
  for (var own = 0u; own < 4u; own++) {
    if (tokens[own] > last_token) {
      break;
    }
    let token_row = sequence * args.tokens + tokens[own];
    let packed = token_row * (args.heads + 2u * args.kv_heads) + head;
    for (var chunk = 0u; chunk < chunks; chunk++) {
      for (var other = 0u; other < 4u; other++) {
        let dimension = chunk * 32u + column * 4u + other;
        if (dimension < args.head_size) {
          gradient[args.gradient_offset + packed * args.head_size + dimension] = sums[chunk][own][other];
        }
      }
    }
    if (column == 0u) {
      delta[args.delta_offset + token_row * args.heads + head] = deltas[own];
    }
  }
}
