// Attention of rows of one token each against the pages of their sequences. One workgroup a row and head: each subgroup
// scores four keys at once, its lanes along the head; then every lane sums one dimension over the block of keys, with a
// running maximum. Lanes of a subgroup are taken to be neighbours. `workgroup_size` times 4 is the largest head.

override workgroup_size: u32 = 64;

const dimensions_max = 4u;

// Where the keys of the block start.
var<workgroup> starts: array<u32, workgroup_size>;
var<workgroup> scores: array<f32, workgroup_size>;
var<workgroup> weights: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let subgroups = max(1u, workgroup_size / subgroup_size);
  let row_head = group.y * groups.x + group.x;
  let row = row_head / args.heads;
  if (row >= args.rows) {
    return;
  }
  let head = row_head % args.heads;
  let kv_head = head / (args.heads / args.kv_heads);
  let query_start = args.query_offset + row * args.query_stride + head * args.head_size;
  let keys = keys_of(row);
  let sequence_pages = first_page(row);
  var sums: array<f32, dimensions_max>;
  var largest = -3.0e38;
  var weight_sum = 0.0;
  for (var first = 0u; first < keys; first += workgroup_size) {
    let count = min(workgroup_size, keys - first);
    let own_start = element_of(sequence_pages, min(first + lane, keys - 1u), kv_head);
    starts[lane] = own_start;
    workgroupBarrier();
    // Keys beyond the last repeat it; nobody reads their scores.
    for (var at = 0u; at < workgroup_size; at += 4u * subgroups) {
      let own = vec4u(at + lane / subgroup_size * 4u) + vec4u(0u, 1u, 2u, 3u);
      let there = min(own, vec4u(workgroup_size - 1u));
      let begin = vec4u(starts[there.x], starts[there.y], starts[there.z], starts[there.w]) + args.key_offset;
      var sum = vec4f();
      for (var dimension = subgroup_lane; dimension < args.head_size; dimension += subgroup_size) {
        let at_dimension = begin + dimension;
        let keys_there = vec4f(key[at_dimension.x], key[at_dimension.y], key[at_dimension.z], key[at_dimension.w]);
        sum = fma(vec4f(query[query_start + dimension]), keys_there, sum);
      }
      let total = subgroupAdd(sum) * args.scale;
      if (subgroup_lane < 4u && own.x + subgroup_lane < workgroup_size) {
        scores[own.x + subgroup_lane] = total[subgroup_lane];
      }
    }
    workgroupBarrier();
    var new_largest = largest;
    for (var index = 0u; index < count; index++) {
      new_largest = max(new_largest, scores[index]);
    }
    weights[lane] = exp(min(scores[lane] - new_largest, 0.0));
    workgroupBarrier();
    let keep = exp(largest - new_largest);
    largest = new_largest;
    weight_sum *= keep;
    for (var index = 0u; index < count; index++) {
      weight_sum += weights[index];
    }
    for (var part = 0u; part < dimensions_max; part++) {
      let dimension = part * workgroup_size + lane;
      if (dimension >= args.head_size) {
        break;
      }
      var sum = sums[part] * keep;
      let start = args.value_offset + dimension;
      for (var index = 0u; index < count; index++) {
        sum = fma(weights[index], value[start + starts[index]], sum);
      }
      sums[part] = sum;
    }
    workgroupBarrier();
  }
  for (var part = 0u; part < dimensions_max; part++) {
    let dimension = part * workgroup_size + lane;
    if (dimension < args.head_size) {
      output[args.output_offset + row_head * args.head_size + dimension] = sums[part] / weight_sum;
    }
  }
}
