// LayerNorm: output = weight * (input - mean) * r + bias, r = 1 / sqrt(variance + epsilon) of each row. One pass
// finds both, from differences to the row's first element: those lose at most a factor of width in precision,
// however far the mean is from zero. How many lanes share a row is its part's matter.

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  bias_offset: u32,
  output_offset: u32,
  mean_offset: u32,
  inverse_deviation_offset: u32,
  rows: u32,
  width: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> inverse_deviation: array<f32>;

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
  let shift = input[start];
  var sums = vec4f();
  var squares = vec4f();
  var column = lane;
  for (; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = start + column;
    let values = vec4f(input[place], input[place + lanes], input[place + 2u * lanes], input[place + 3u * lanes]) - shift;
    sums += values;
    squares += values * values;
  }
  for (; column < args.width; column += lanes) {
    let value = input[start + column] - shift;
    sums.x += value;
    squares.x += value * value;
  }
  let own = vec2f((sums.x + sums.y) + (sums.z + sums.w), (squares.x + squares.y) + (squares.z + squares.w));
  let means = row_sums(own, mine) / f32(args.width);
  let spread = means.y - means.x * means.x;
  // A sum that is no finite number makes the row NaN; it must not come out as zeros.
  let finite = (bitcast<u32>(means.y) & 0x7f800000u) != 0x7f800000u;
  let found_scale = 1.0 / sqrt(max(spread, 0.0) + args.epsilon);
  let scale = select(bitcast<f32>(args.width | 0x7fc00000u), found_scale, finite);
  let centre = shift + means.x;
  if (!mine.is_real) {
    return;
  }
  let output_start = args.output_offset + row * args.width;
  for (column = lane; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = start + column;
    let values = vec4f(input[place], input[place + lanes], input[place + 2u * lanes], input[place + 3u * lanes]);
    let normal = (values - centre) * scale;
    let weight_place = args.weight_offset + column;
    let bias_place = args.bias_offset + column;
    let output_place = output_start + column;
    output[output_place] = weight[weight_place] * normal.x + bias[bias_place];
    output[output_place + lanes] = weight[weight_place + lanes] * normal.y + bias[bias_place + lanes];
    output[output_place + 2u * lanes] = weight[weight_place + 2u * lanes] * normal.z + bias[bias_place + 2u * lanes];
    output[output_place + 3u * lanes] = weight[weight_place + 3u * lanes] * normal.w + bias[bias_place + 3u * lanes];
  }
  for (; column < args.width; column += lanes) {
    let normal = (input[start + column] - centre) * scale;
    output[output_start + column] = weight[args.weight_offset + column] * normal + bias[args.bias_offset + column];
  }
  if (lane == 0u) {
    mean[args.mean_offset + row] = centre;
    inverse_deviation[args.inverse_deviation_offset + row] = scale;
  }
}
