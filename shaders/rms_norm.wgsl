// RMSNorm: output = weight * input * r, r = 1 / sqrt(mean(input^2) + epsilon) of each row. How many lanes share a
// row is its part's matter.

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  output_offset: u32,
  inverse_rms_offset: u32,
  rows: u32,
  width: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
@group(0) @binding(4) var<storage, read_write> inverse_rms: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(invocation: Invocation) {
  let mine = row_lane(invocation, args.rows);
  if (is_idle(mine)) {
    return;
  }
  let row = mine.row;
  let lane = mine.lane;
  let lanes = mine.lanes;
  let start = args.input_offset + row * args.width;
  var sums = vec4f();
  var column = lane;
  for (; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = start + column;
    let values = vec4f(input[place], input[place + lanes], input[place + 2u * lanes], input[place + 3u * lanes]);
    sums += values * values;
  }
  for (; column < args.width; column += lanes) {
    let value = input[start + column];
    sums.x += value * value;
  }
  let squares = row_sum((sums.x + sums.y) + (sums.z + sums.w), mine);
  // A sum that is no finite number makes the row NaN; it must not come out as zeros.
  let finite = (bitcast<u32>(squares) & 0x7f800000u) != 0x7f800000u;
  let found_scale = 1.0 / sqrt(squares / f32(args.width) + args.epsilon);
  let scale = select(bitcast<f32>(args.width | 0x7fc00000u), found_scale, finite);
  if (!mine.is_real) {
    return;
  }
  let output_start = args.output_offset + row * args.width;
  for (column = lane; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = start + column;
    let values = vec4f(input[place], input[place + lanes], input[place + 2u * lanes], input[place + 3u * lanes]);
    let normal = values * scale;
    let weight_place = args.weight_offset + column;
    let output_place = output_start + column;
    output[output_place] = weight[weight_place] * normal.x;
    output[output_place + lanes] = weight[weight_place + lanes] * normal.y;
    output[output_place + 2u * lanes] = weight[weight_place + 2u * lanes] * normal.z;
    output[output_place + 3u * lanes] = weight[weight_place + 3u * lanes] * normal.w;
  }
  for (; column < args.width; column += lanes) {
    output[output_start + column] = weight[args.weight_offset + column] * (input[start + column] * scale);
  }
  if (lane == 0u) {
    inverse_rms[args.inverse_rms_offset + row] = scale;
  }
}
