// The most likely tokens of each row of logits, the likeliest first, lower tokens first among equals, with the natural
// logarithms of their probabilities. One workgroup a row; each rank is one more look for the largest below the last found.

override workgroup_size: u32 = 64;

struct Arguments {
  logits_offset: u32,
  logits_rows_offset: u32,
  tokens_offset: u32,
  log_probabilities_offset: u32,
  rows: u32,
  vocabulary: u32,
  count: u32,
  logits_rows_stride: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> logits_rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(4) var<storage, read_write> log_probabilities: array<f32>;

var<workgroup> keys: array<u32, workgroup_size>;
var<workgroup> found: array<u32, workgroup_size>;
var<workgroup> sums: array<f32, workgroup_size>;

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
  let logits_row = logits_rows[args.logits_rows_offset + row * args.logits_rows_stride];
  let start = args.logits_offset + logits_row * args.vocabulary;
  var last_key = 0xffffffffu;
  var last_token = 0u;
  var largest = 0.0;
  var log_total = 0.0;
  for (var rank = 0u; rank < args.count; rank++) {
    var best_key = 0u;
    var best_token = 0xffffffffu;
    for (var token = lane; token < args.vocabulary; token += workgroup_size) {
      let key = order_key(logits[start + token]);
      let is_left = key < last_key || (key == last_key && token > last_token);
      if (is_left && (key > best_key || best_token == 0xffffffffu)) {
        best_key = key;
        best_token = token;
      }
    }
    keys[lane] = best_key;
    found[lane] = best_token;
    workgroupBarrier();
    for (var other = 0u; other < workgroup_size; other++) {
      let key = keys[other];
      let token = found[other];
      if (token != 0xffffffffu && (best_token == 0xffffffffu || key > best_key || (key == best_key && token < best_token))) {
        best_key = key;
        best_token = token;
      }
    }
    last_key = best_key;
    last_token = best_token;
    if (rank == 0u) {
      largest = logits[start + best_token];
      var sum = 0.0;
      for (var token = lane; token < args.vocabulary; token += workgroup_size) {
        sum += exp(logits[start + token] - largest);
      }
      sums[lane] = sum;
      workgroupBarrier();
      sum = 0.0;
      for (var other = 0u; other < workgroup_size; other++) {
        sum += sums[other];
      }
      log_total = log(sum);
    }
    if (lane == 0u) {
      let place = row * args.count + rank;
      tokens[args.tokens_offset + place] = best_token;
      log_probabilities[args.log_probabilities_offset + place] = logits[start + best_token] - largest - log_total;
    }
    workgroupBarrier();
  }
}
