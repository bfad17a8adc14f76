// A residual and its RMSNorm: sum = left + right; output = weight * sum * r, r = 1 / sqrt(mean(sum^2) + epsilon)
// of each row. A row is shared by `lanes` invocations of a
// workgroup: a power of two up to its size.

override workgroup_size: u32 = 32;
override lanes: u32 = 32;

struct Arguments {
  left_offset: u32,
  right_offset: u32,
  weight_offset: u32,
  sum_offset: u32,
  output_offset: u32,
  inverse_rms_offset: u32,
  rows: u32,
  width: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> sum: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;
@group(0) @binding(6) var<storage, read_write> inverse_rms: array<f32>;

var<workgroup> partial: array<f32, workgroup_size>;

// The sum over the lanes of a row, added in lane order by every lane.
fn row_sum(own: f32, local: u32, lane: u32) -> f32 {
  if (lanes == 1u) {
    return own;
  }
  partial[local] = own;
  workgroupBarrier();
  var sum = 0.0;
  for (var other = local - lane; other < local - lane + lanes; other++) {
    sum += partial[other];
  }
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local % lanes;
  let own_row = (group.y * groups.x + group.x) * (workgroup_size / lanes) + local / lanes;
  // Rows beyond the last compute the last again and store nothing, as all lanes must reach the barriers.
  let row = min(own_row, args.rows - 1u);
  let start = row * args.width;
  var squares = 0.0;
  for (var column = lane; column < args.width; column += lanes) {
    let value = left[args.left_offset + start + column] + right[args.right_offset + start + column];
    squares += value * value;
  }
  let total = row_sum(squares, local, lane);
  // A sum that is no finite number makes the row NaN; it must not come out as zeros.
  let finite = (bitcast<u32>(total) & 0x7f800000u) != 0x7f800000u;
  let found_scale = 1.0 / sqrt(total / f32(args.width) + args.epsilon);
  let scale = select(bitcast<f32>(args.width | 0x7fc00000u), found_scale, finite);
  if (own_row >= args.rows) {
    return;
  }
  for (var column = lane; column < args.width; column += lanes) {
    let value = left[args.left_offset + start + column] + right[args.right_offset + start + column];
    sum[args.sum_offset + start + column] = value;
    output[args.output_offset + start + column] = weight[args.weight_offset + column] * (value * scale);
  }
  if (lane == 0u) {
    inverse_rms[args.inverse_rms_offset + row] = scale;
  }
}
