// RMSNorm of each head of the query and of the key, in place, in rows [heads of query, of key, of value]: as Qwen 3 has it
// before they turn. One workgroup a row and head; heads of the query take the first gain, heads of the key the second.

override workgroup_size: u32 = 32;

struct Arguments {
  query_gain_offset: u32,
  key_gain_offset: u32,
  values_offset: u32,
  rows: u32,
  heads: u32,
  kv_heads: u32,
  head_size: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> query_gain: array<f32>;
@group(0) @binding(2) var<storage, read> key_gain: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;

var<workgroup> squares: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = group.y * groups.x + group.x;
  let normed = args.heads + args.kv_heads;
  let row = index / normed;
  if (row >= args.rows) {
    return;
  }
  let head = index % normed;
  let start = args.values_offset + (row * (normed + args.kv_heads) + head) * args.head_size;
  var sum = 0.0;
  for (var dimension = lane; dimension < args.head_size; dimension += workgroup_size) {
    let own = values[start + dimension];
    sum = fma(own, own, sum);
  }
  squares[lane] = sum;
  workgroupBarrier();
  sum = 0.0;
  for (var other = 0u; other < workgroup_size; other++) {
    sum += squares[other];
  }
  let scale = 1.0 / sqrt(sum / f32(args.head_size) + args.epsilon);
  for (var dimension = lane; dimension < args.head_size; dimension += workgroup_size) {
    var gain: f32;
    if (head < args.heads) {
      gain = query_gain[args.query_gain_offset + dimension];
    } else {
      gain = key_gain[args.key_gain_offset + dimension];
    }
    values[start + dimension] *= scale * gain;
  }
}
