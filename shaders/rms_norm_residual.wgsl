// A residual and its RMSNorm: sum = left + right; output = weight * sum * r, r = 1 / sqrt(mean(sum^2) + epsilon)
// of each row. How many lanes share a row is its part's matter.

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

@compute @workgroup_size(workgroup_size)
fn main(invocation: Invocation) {
  let mine = row_lane(invocation, args.rows);
  if (is_idle(mine)) {
    return;
  }
  let row = mine.row;
  let lane = mine.lane;
  let lanes = mine.lanes;
  let start = row * args.width;
  var squares = 0.0;
  for (var column = lane; column < args.width; column += lanes) {
    let value = left[args.left_offset + start + column] + right[args.right_offset + start + column];
    squares += value * value;
  }
  let total = row_sum(squares, mine);
  // A sum that is no finite number makes the row NaN; it must not come out as zeros.
  let finite = (bitcast<u32>(total) & 0x7f800000u) != 0x7f800000u;
  let found_scale = 1.0 / sqrt(total / f32(args.width) + args.epsilon);
  let scale = select(bitcast<f32>(args.width | 0x7fc00000u), found_scale, finite);
  if (!mine.is_real) {
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
