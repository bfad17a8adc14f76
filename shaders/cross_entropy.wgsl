// Softmax and cross-entropy: the loss of each row, and its logits replaced by their gradient. One workgroup a row. A
// target at or above the vocabulary counts for nothing.

override workgroup_size: u32 = 32;

struct Arguments {
  targets_offset: u32,
  logits_offset: u32,
  losses_offset: u32,
  rows: u32,
  vocabulary: u32,
  gradient_scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

var<workgroup> partial: array<f32, workgroup_size>;

// The sum over the workgroup, added in lane order by every lane.
fn total(own: f32, lane: u32) -> f32 {
  partial[lane] = own;
  workgroupBarrier();
  var sum = 0.0;
  for (var index = 0u; index < workgroup_size; index++) {
    sum += partial[index];
  }
  workgroupBarrier();
  return sum;
}

// The largest over the workgroup.
fn largest(own: f32, lane: u32) -> f32 {
  partial[lane] = own;
  workgroupBarrier();
  var found = partial[0];
  for (var index = 1u; index < workgroup_size; index++) {
    found = max(found, partial[index]);
  }
  workgroupBarrier();
  return found;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  if (row >= args.rows) {
    return;
  }
  let start = args.logits_offset + row * args.vocabulary;
  let target_token = targets[args.targets_offset + row];
  let counts = target_token < args.vocabulary;
  // Read before the barriers below, after which the row is overwritten.
  let target_logit = logits[start + min(target_token, args.vocabulary - 1u)];
  var own_largest = -3.0e38;
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    own_largest = max(own_largest, logits[start + token]);
  }
  let row_largest = largest(own_largest, lane);
  var sum = 0.0;
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    sum += exp(logits[start + token] - row_largest);
  }
  let row_total = total(sum, lane);
  let scale = select(0.0, args.gradient_scale, counts);
  for (var token = lane; token < args.vocabulary; token += workgroup_size) {
    let probability = exp(logits[start + token] - row_largest) / row_total;
    logits[start + token] = scale * (probability - select(0.0, 1.0, token == target_token));
  }
  if (lane == 0u) {
    losses[args.losses_offset + row] = select(0.0, log(row_total) + (row_largest - target_logit), counts);
  }
}
