// Attention of rows of one token each against the pages of their sequences, for adapters on which loads cost most: four
// neighbours share a row and head, each with every fourth run of four dimensions, and sum their parts of the scores. Keys in
// fours, which lie in one page, with a running maximum. `tiers` runs of each neighbour hold the head.

// From 1 to 8.
override tiers: u32 = 1;

// An invocation's runs from `start` on, four apart. Those beyond the head repeat its last run, `runs - 1`; their query is
// zero, and they are not stored.
fn query_at(start: u32, run: u32, runs: u32) -> vec4f {
  return select(vec4f(), query[start + min(run, runs - 1u)], run < runs);
}

fn scores_of(own: vec4f, at: vec4u) -> vec4f {
  return vec4f(dot(own, key[at.x]), dot(own, key[at.y]), dot(own, key[at.z]), dot(own, key[at.w]));
}

fn store(place: u32, run: u32, runs: u32, values: vec4f) {
  if (run < runs) {
    for (var index = 0u; index < 4u; index++) {
      output[place + 4u * run + index] = values[index];
    }
  }
}

fn add(sum: vec4f, weights: vec4f, at: vec4u) -> vec4f {
  let first = fma(vec4f(weights.y), value[at.y], fma(vec4f(weights.x), value[at.x], sum));
  return fma(vec4f(weights.w), value[at.w], fma(vec4f(weights.z), value[at.z], first));
}

@compute @workgroup_size(4)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row_head = group.y * groups.x + group.x;
  let row = row_head / args.heads;
  if (row >= args.rows) {
    return;
  }
  let head = row_head % args.heads;
  let kv_head = head / (args.heads / args.kv_heads);
  let keys = keys_of(row);
  let sequence_pages = first_page(row);
  let runs = args.head_size / 4u;
  let query_start = (args.query_offset + row * args.query_stride + head * args.head_size) / 4u;
  let run0 = min(lane + 0u, runs - 1u);
  let run1 = min(lane + 4u, runs - 1u);
  let run2 = min(lane + 8u, runs - 1u);
  let run3 = min(lane + 12u, runs - 1u);
  let run4 = min(lane + 16u, runs - 1u);
  let run5 = min(lane + 20u, runs - 1u);
  let run6 = min(lane + 24u, runs - 1u);
  let run7 = min(lane + 28u, runs - 1u);
  let query0 = query_at(query_start, lane + 0u, runs);
  let query1 = query_at(query_start, lane + 4u, runs);
  let query2 = query_at(query_start, lane + 8u, runs);
  let query3 = query_at(query_start, lane + 12u, runs);
  let query4 = query_at(query_start, lane + 16u, runs);
  let query5 = query_at(query_start, lane + 20u, runs);
  let query6 = query_at(query_start, lane + 24u, runs);
  let query7 = query_at(query_start, lane + 28u, runs);
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  var sum4 = vec4f();
  var sum5 = vec4f();
  var sum6 = vec4f();
  var sum7 = vec4f();
  var largest = -3.0e38;
  var weight_sum = 0.0;
  for (var key_first = 0u; key_first < keys; key_first += 4u) {
    let four = vec4u(0u, 1u, 2u, 3u);
    let positions = vec4u(key_first) + four;
    let ahead = min(four, vec4u(keys - 1u - key_first));
    let starts = vec4u(element_of(sequence_pages, key_first, kv_head)) + ahead * args.kv_stride;
    let at = (starts + args.key_offset) / 4u;
    var scores = scores_of(query0, at + run0);
    if (tiers > 1u) {
      scores += scores_of(query1, at + run1);
    }
    if (tiers > 2u) {
      scores += scores_of(query2, at + run2);
    }
    if (tiers > 3u) {
      scores += scores_of(query3, at + run3);
    }
    if (tiers > 4u) {
      scores += scores_of(query4, at + run4);
    }
    if (tiers > 5u) {
      scores += scores_of(query5, at + run5);
    }
    if (tiers > 6u) {
      scores += scores_of(query6, at + run6);
    }
    if (tiers > 7u) {
      scores += scores_of(query7, at + run7);
    }
    scores += quadSwapX(scores);
    scores += quadSwapY(scores);
    scores = select(vec4f(-3.0e38), scores * args.scale, positions < vec4u(keys));
    let new_largest = max(largest, max(max(scores.x, scores.y), max(scores.z, scores.w)));
    let keep = exp(largest - new_largest);
    let weights = select(vec4f(), exp(scores - new_largest), positions < vec4u(keys));
    largest = new_largest;
    weight_sum = weight_sum * keep + (weights.x + weights.y + weights.z + weights.w);
    let origin = (starts + args.value_offset) / 4u;
    sum0 = add(sum0 * keep, weights, origin + run0);
    if (tiers > 1u) {
      sum1 = add(sum1 * keep, weights, origin + run1);
    }
    if (tiers > 2u) {
      sum2 = add(sum2 * keep, weights, origin + run2);
    }
    if (tiers > 3u) {
      sum3 = add(sum3 * keep, weights, origin + run3);
    }
    if (tiers > 4u) {
      sum4 = add(sum4 * keep, weights, origin + run4);
    }
    if (tiers > 5u) {
      sum5 = add(sum5 * keep, weights, origin + run5);
    }
    if (tiers > 6u) {
      sum6 = add(sum6 * keep, weights, origin + run6);
    }
    if (tiers > 7u) {
      sum7 = add(sum7 * keep, weights, origin + run7);
    }
  }
  let place = args.output_offset + row_head * args.head_size;
  store(place, lane, runs, sum0 / weight_sum);
  if (tiers > 1u) {
    store(place, lane + 4u, runs, sum1 / weight_sum);
  }
  if (tiers > 2u) {
    store(place, lane + 8u, runs, sum2 / weight_sum);
  }
  if (tiers > 3u) {
    store(place, lane + 12u, runs, sum3 / weight_sum);
  }
  if (tiers > 4u) {
    store(place, lane + 16u, runs, sum4 / weight_sum);
  }
  if (tiers > 5u) {
    store(place, lane + 20u, runs, sum5 / weight_sum);
  }
  if (tiers > 6u) {
    store(place, lane + 24u, runs, sum6 / weight_sum);
  }
  if (tiers > 7u) {
    store(place, lane + 28u, runs, sum7 / weight_sum);
  }
}
