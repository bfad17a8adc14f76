// A residual and its RMSNorm: sum = left + right; output = weight * sum * r, r = 1 / sqrt(mean(sum^2) + epsilon) of
// each row. Parts say how many lanes share a row, and how many columns an Element is.

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
@group(0) @binding(1) var<storage, read> left: array<Element>;
@group(0) @binding(2) var<storage, read> right: array<Element>;
@group(0) @binding(3) var<storage, read> weight: array<Element>;
@group(0) @binding(4) var<storage, read_write> sum: array<Element>;
@group(0) @binding(5) var<storage, read_write> output: array<Element>;
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
  let elements = args.width / element_size;
  let left_start = args.left_offset / element_size + row * elements;
  let right_start = args.right_offset / element_size + row * elements;
  var squares = Element();
  for (var column = lane; column < elements; column += lanes) {
    let value = left[left_start + column] + right[right_start + column];
    squares += value * value;
  }
  let total = row_sum(sum_of(squares), mine);
  // A sum that is no finite number makes the row NaN; it must not come out as zeros.
  let finite = (bitcast<u32>(total) & 0x7f800000u) != 0x7f800000u;
  let found_scale = 1.0 / sqrt(total / f32(args.width) + args.epsilon);
  let scale = select(bitcast<f32>(args.width | 0x7fc00000u), found_scale, finite);
  if (!mine.is_real) {
    return;
  }
  let sum_start = args.sum_offset / element_size + row * elements;
  let output_start = args.output_offset / element_size + row * elements;
  let weight_start = args.weight_offset / element_size;
  for (var column = lane; column < elements; column += lanes) {
    let value = left[left_start + column] + right[right_start + column];
    sum[sum_start + column] = value;
    output[output_start + column] = weight[weight_start + column] * (value * scale);
  }
  if (lane == 0u) {
    inverse_rms[args.inverse_rms_offset + row] = scale;
  }
}
