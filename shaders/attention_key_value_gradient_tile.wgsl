// Attention backward to keys and values for GPUs, with shared tiles; the formulas stand in
// attention_key_value_gradient.wgsl. One workgroup 32 keys of one key head; for each query head that shares it, queries in
// tiles of 32 from the first that sees a key; the head in chunks of 32 dimensions. An invocation takes four keys by four
// queries, and sums four keys by four dimensions of each chunk. `chunks` is the head in chunks, up to 4; the workgroup has
// 64 invocations.

override workgroup_size: u32 = 64;
override chunks: u32 = 4;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(5) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(6) var<storage, read> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<f32>;

const four = vec4u(0u, 1u, 2u, 3u);

// [dimension, four keys], [dimension, four queries] or [query, four dimensions], and the weights [query, key].
var<workgroup> left: array<vec4f, 256>;
var<workgroup> right: array<vec4f, 256>;
var<workgroup> weights: array<f32, 1024>;

fn add_outer(sum: mat4x4f, rows: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(rows.x), columns, sum[0]),
    fma(vec4f(rows.y), columns, sum[1]),
    fma(vec4f(rows.z), columns, sum[2]),
    fma(vec4f(rows.w), columns, sum[3]),
  );
}

// Writes four keys by four queries into the shared weights.
fn share(row: u32, column: u32, own: u32, values: vec4f) {
  for (var other = 0u; other < 4u; other++) {
    weights[(column * 4u + other) * 32u + row * 4u + own] = values[other];
  }
}

fn add_weighted(sum: mat4x4f, row: u32, column: u32, queries: u32) -> mat4x4f {
  var found = sum;
  for (var other = 0u; other < queries; other++) {
    let from_row = other * 32u + row * 4u;
    let rows = vec4f(weights[from_row], weights[from_row + 1u], weights[from_row + 2u], weights[from_row + 3u]);
    found = add_outer(found, rows, right[other * 8u + column]);
  }
  return found;
}

// Rows of a query tile, four dimensions of a chunk at a time; beyond the edges the last is read again.
fn load_gradients(lane: u32, chunk: u32, head: u32, query_first: u32, first_row: u32) {
  for (var part = lane; part < 256u; part += 64u) {
    let dimensions = min(vec4u(chunk * 32u + part % 8u * 4u) + four, vec4u(args.head_size - 1u));
    let row = first_row + min(query_first + part / 8u, args.tokens - 1u);
    let at = vec4u(args.output_gradient_offset + (row * args.heads + head) * args.head_size) + dimensions;
    right[part] = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
  }
}

fn load_queries(lane: u32, chunk: u32, head: u32, query_first: u32, first_row: u32) {
  for (var part = lane; part < 256u; part += 64u) {
    let dimensions = min(vec4u(chunk * 32u + part % 8u * 4u) + four, vec4u(args.head_size - 1u));
    let row = first_row + min(query_first + part / 8u, args.tokens - 1u);
    let at = vec4u(args.query_offset + row * args.query_stride + head * args.head_size) + dimensions;
    right[part] = vec4f(query[at.x], query[at.y], query[at.z], query[at.w]);
  }
}

fn store(packed: u32, chunk: u32, column: u32, values: vec4f) {
  for (var other = 0u; other < 4u; other++) {
    let dimension = chunk * 32u + column * 4u + other;
    if (dimension < args.head_size) {
      gradient[args.gradient_offset + packed * args.head_size + dimension] = values[other];
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = group.y * groups.x + group.x;
  let blocks = (args.tokens + 31u) / 32u;
  let kv_head = index % args.kv_heads;
  // Early keys are seen by the most queries, so they come first.
  let block = index / args.kv_heads % blocks;
  let sequence = index / (args.kv_heads * blocks);
  if (sequence >= args.sequences) {
    return;
  }
  let heads_each = args.heads / args.kv_heads;
  let last_token = args.tokens - 1u;
  let first_row = sequence * args.tokens;
  let width = args.heads * args.head_size;
  let row = lane / 8u;
  let column = lane % 8u;
  let positions = vec4u(block * 32u + row * 4u) + four;
  var key_sums: array<mat4x4f, 4>;
  var value_sums: array<mat4x4f, 4>;
  for (var head = kv_head * heads_each; head < (kv_head + 1u) * heads_each; head++) {
    for (var query_first = block * 32u; query_first < args.tokens; query_first += 32u) {
      var scores = mat4x4f();
      var pulls = mat4x4f();
      for (var chunk = 0u; chunk < 2u * chunks; chunk++) {
        // Keys by queries first, then values by the output's gradients.
        let is_pull = chunk >= chunks;
        workgroupBarrier();
        for (var part = lane; part < 256u; part += 64u) {
          let dimension = chunk % chunks * 32u + part % 32u;
          let rows = vec4u(part / 32u * 4u) + four;
          let key_rows = first_row + min(vec4u(block * 32u) + rows, vec4u(last_token));
          let query_rows = first_row + min(vec4u(query_first) + rows, vec4u(last_token));
          let kv = vec4u(kv_head * args.head_size + dimension) + key_rows * args.kv_stride;
          let of_head = head * args.head_size + dimension;
          var lefts = vec4f();
          var rights = vec4f();
          if (dimension < args.head_size && is_pull) {
            let v = kv + args.value_offset;
            let g = vec4u(args.output_gradient_offset + of_head) + query_rows * width;
            lefts = vec4f(value[v.x], value[v.y], value[v.z], value[v.w]);
            rights = vec4f(output_gradient[g.x], output_gradient[g.y], output_gradient[g.z], output_gradient[g.w]);
          } else if (dimension < args.head_size) {
            let k = kv + args.key_offset;
            let q = vec4u(args.query_offset + of_head) + query_rows * args.query_stride;
            lefts = vec4f(key[k.x], key[k.y], key[k.z], key[k.w]);
            rights = vec4f(query[q.x], query[q.y], query[q.z], query[q.w]);
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
      let queries = min(32u, args.tokens - query_first);
      let tokens = vec4u(query_first + column * 4u) + four;
      let rows_of_four = (first_row + min(tokens, vec4u(last_token))) * args.heads + head;
      let log_at = rows_of_four + args.log_sum_exp_offset;
      let log_sums = vec4f(log_sum_exp[log_at.x], log_sum_exp[log_at.y], log_sum_exp[log_at.z], log_sum_exp[log_at.w]);
      let delta_at = rows_of_four + args.delta_offset;
      let deltas = vec4f(delta[delta_at.x], delta[delta_at.y], delta[delta_at.z], delta[delta_at.w]);
      for (var own = 0u; own < 4u; own++) {
        let seen = (tokens >= vec4u(positions[own])) & (tokens <= vec4u(last_token));
        let shares = select(vec4f(), exp(scores[own] * args.scale - log_sums), seen);
        scores[own] = shares;
        pulls[own] = shares * (pulls[own] - deltas) * args.scale;
        share(row, column, own, shares);
      }
      for (var chunk = 0u; chunk < chunks; chunk++) {
        workgroupBarrier();
        load_gradients(lane, chunk, head, query_first, first_row);
        workgroupBarrier();
        value_sums[chunk] = add_weighted(value_sums[chunk], row, column, queries);
      }
      workgroupBarrier();
      for (var own = 0u; own < 4u; own++) {
        share(row, column, own, pulls[own]);
      }
      for (var chunk = 0u; chunk < chunks; chunk++) {
        workgroupBarrier();
        load_queries(lane, chunk, head, query_first, first_row);
        workgroupBarrier();
        key_sums[chunk] = add_weighted(key_sums[chunk], row, column, queries);
      }
    }
  }
  let row_heads = args.heads + 2u * args.kv_heads;
  for (var own = 0u; own < 4u; own++) {
    if (positions[own] > last_token) {
      break;
    }
    let key_place = (first_row + positions[own]) * row_heads + args.heads + kv_head;
    for (var chunk = 0u; chunk < chunks; chunk++) {
      store(key_place, chunk, column, key_sums[chunk][own]);
      store(key_place + args.kv_heads, chunk, column, value_sums[chunk][own]);
    }
  }
}
