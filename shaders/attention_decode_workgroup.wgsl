// Attention of one new token a sequence against its cache. One workgroup a sequence and head: lanes score one key
// each, then sum one dimension each over the block of keys, with a running maximum. `workgroup_size` times 4 is the
// largest head.

override workgroup_size: u32 = 64;

@group(0) @binding(1) var<storage, read> query: array<f32>;
@group(0) @binding(2) var<storage, read> key: array<f32>;
@group(0) @binding(3) var<storage, read> value: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

const dimensions_max = 4u;

var<workgroup> scores: array<f32, workgroup_size>;
var<workgroup> weights: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  if (row >= args.sequences * args.heads) {
    return;
  }
  let head = row % args.heads;
  let sequence = row / args.heads;
  let kv_head = head / (args.heads / args.kv_heads);
  let kv_start = sequence * args.positions_max * args.kv_stride + kv_head * args.head_size;
  let query_start = args.query_offset + sequence * args.query_stride + head * args.head_size;
  let keys = args.position_start + 1u;
  var sums: array<f32, dimensions_max>;
  var largest = -3.0e38;
  var weight_sum = 0.0;
  for (var first = 0u; first < keys; first += workgroup_size) {
    let count = min(workgroup_size, keys - first);
    var score = -3.0e38;
    if (lane < count) {
      let start = args.key_offset + kv_start + (first + lane) * args.kv_stride;
      score = 0.0;
      for (var dimension = 0u; dimension < args.head_size; dimension++) {
        score = fma(query[query_start + dimension], key[start + dimension], score);
      }
      score *= args.scale;
    }
    scores[lane] = score;
    workgroupBarrier();
    var new_largest = largest;
    for (var index = 0u; index < count; index++) {
      new_largest = max(new_largest, scores[index]);
    }
    weights[lane] = exp(score - new_largest);
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
      let start = args.value_offset + kv_start + first * args.kv_stride + dimension;
      for (var index = 0u; index < count; index++) {
        sum = fma(weights[index], value[start + index * args.kv_stride], sum);
      }
      sums[part] = sum;
    }
    workgroupBarrier();
  }
  for (var part = 0u; part < dimensions_max; part++) {
    let dimension = part * workgroup_size + lane;
    if (dimension < args.head_size) {
      output[args.output_offset + row * args.head_size + dimension] = sums[part] / weight_sum;
    }
  }
}
