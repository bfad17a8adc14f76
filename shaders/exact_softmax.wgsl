// Softmax of integers with a table for exp: probability = floor(2^15 * e / sum of e) with
// e = table[min(255, (max - logit) * multiplier >> shift)] in Q15. With `causal`, row r sees the columns up to r and the rest are 0.
// With `gradient`, what is stored is probability - 2^15 at the row's target. One invocation a row.

override workgroup_size: u32 = 64;

struct Arguments {
  logits_offset: u32,
  table_offset: u32,
  targets_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  multiplier: u32,
  shift: u32,
  causal: u32,
  gradient: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<i32>;
@group(0) @binding(2) var<storage, read> table: array<i32>;
@group(0) @binding(3) var<storage, read> targets: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<i32>;

// As in exact_requantise, without rounding: difference is at most 2^31 - 1.
fn weight(difference: i32) -> u32 {
  let factor = i32(args.multiplier);
  let high = difference >> 16u;
  let low = difference & 0xffff;
  let place = (high * factor + ((low * factor) >> 16u)) >> (args.shift - 16u);
  return u32(table[args.table_offset + u32(min(255, place))]);
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = global.y * groups.x * workgroup_size + global.x;
  if (row >= args.rows) {
    return;
  }
  let start = args.logits_offset + row * args.columns;
  let target_start = args.output_offset + row * args.columns;
  let seen = select(args.columns, min(args.columns, row + 1u), args.causal != 0u);
  var largest = logits[start];
  for (var column = 1u; column < seen; column++) {
    largest = max(largest, logits[start + column]);
  }
  var sum = 0u;
  for (var column = 0u; column < seen; column++) {
    sum += weight(largest - logits[start + column]);
  }
  for (var column = 0u; column < args.columns; column++) {
    var probability = 0i;
    if (column < seen) {
      // e is at most 2^15, so this fits; the sum is at least the largest's own 2^15.
      probability = i32((weight(largest - logits[start + column]) << 15u) / sum);
    }
    if (args.gradient != 0u && i32(column) == targets[args.targets_offset + row]) {
      probability -= 32768;
    }
    output[target_start + column] = probability;
  }
}
