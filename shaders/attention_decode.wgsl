// Attention of rows of one token each against the pages of their sequences, without shared memory. One invocation a row,
// head and tile of 16 dimensions; keys in fours, which lie in one page, with a running maximum. Each tile computes the
// scores again.

override workgroup_size: u32 = 64;

const four = vec4u(0u, 1u, 2u, 3u);

fn value_at(start: u32, dimensions: vec4u) -> vec4f {
  let at = vec4u(start) + dimensions;
  return vec4f(value[at.x], value[at.y], value[at.z], value[at.w]);
}

fn store_four(start: u32, first: u32, values: vec4f) {
  for (var index = 0u; index < 4u; index++) {
    if (first + index < args.head_size) {
      output[start + first + index] = values[index];
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let tiles = (args.head_size + 15u) / 16u;
  let row_head = index / tiles;
  let row = row_head / args.heads;
  if (row >= args.rows) {
    return;
  }
  let head = row_head % args.heads;
  let kv_head = head / (args.heads / args.kv_heads);
  let query_start = args.query_offset + row * args.query_stride + head * args.head_size;
  let keys = keys_of(row);
  let sequence_pages = first_page(row);
  // Dimensions beyond the head repeat its last one; they are summed and not stored.
  let last = vec4u(args.head_size - 1u);
  let first = index % tiles * 16u;
  let dimensions0 = min(vec4u(first) + four, last);
  let dimensions1 = min(vec4u(first + 4u) + four, last);
  let dimensions2 = min(vec4u(first + 8u) + four, last);
  let dimensions3 = min(vec4u(first + 12u) + four, last);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  var largest = -3.0e38;
  var weight_sum = 0.0;
  for (var key_first = 0u; key_first < keys; key_first += 4u) {
    let positions = vec4u(key_first) + four;
    let ahead = min(four, vec4u(keys - 1u - key_first));
    let starts = vec4u(element_of(sequence_pages, key_first, kv_head)) + ahead * args.kv_stride;
    let at = starts + args.key_offset;
    var scores = vec4f();
    for (var dimension = 0u; dimension < args.head_size; dimension++) {
      let own = vec4f(key[at.x + dimension], key[at.y + dimension], key[at.z + dimension], key[at.w + dimension]);
      scores = fma(vec4f(query[query_start + dimension]), own, scores);
    }
    scores = select(vec4f(-3.0e38), scores * args.scale, positions < vec4u(keys));
    let new_largest = max(largest, max(max(scores.x, scores.y), max(scores.z, scores.w)));
    let keep = exp(largest - new_largest);
    let weights = select(vec4f(), exp(scores - new_largest), positions < vec4u(keys));
    largest = new_largest;
    weight_sum = weight_sum * keep + (weights.x + weights.y + weights.z + weights.w);
    sum0 *= keep;
    sum1 *= keep;
    sum2 *= keep;
    sum3 *= keep;
    for (var index_of_four = 0u; index_of_four < 4u; index_of_four++) {
      let weight = vec4f(weights[index_of_four]);
      let start = args.value_offset + starts[index_of_four];
      sum0 = fma(weight, value_at(start, dimensions0), sum0);
      sum1 = fma(weight, value_at(start, dimensions1), sum1);
      sum2 = fma(weight, value_at(start, dimensions2), sum2);
      sum3 = fma(weight, value_at(start, dimensions3), sum3);
    }
  }
  let start = args.output_offset + row_head * args.head_size;
  store_four(start, first, sum0 / weight_sum);
  store_four(start, first + 4u, sum1 / weight_sum);
  store_four(start, first + 8u, sum2 / weight_sum);
  store_four(start, first + 12u, sum3 / weight_sum);
}
