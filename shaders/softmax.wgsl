// Softmax of each row: exp(x - largest) / sum. The largest and the sum are found in one pass, the sum rescaled
// whenever a larger value is met. How many lanes share a row is its part's matter.

struct Arguments {
  input_offset: u32,
  output_offset: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

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
  var own_largest = -3.0e38;
  // The largest bits of a magnitude: above those of infinity for what is no number.
  var magnitudes = vec4u();
  var sum = 0.0;
  var column = lane;
  for (; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = start + column;
    let values = vec4f(input[place], input[place + lanes], input[place + 2u * lanes], input[place + 3u * lanes]);
    magnitudes = max(magnitudes, bitcast<vec4u>(values) & vec4u(0x7fffffffu));
    let larger = max(max(values.x, values.y), max(values.z, values.w));
    if (larger > own_largest) {
      sum *= exp(own_largest - larger);
      own_largest = larger;
    }
    let parts = exp(values - own_largest);
    sum += (parts.x + parts.y) + (parts.z + parts.w);
  }
  for (; column < args.width; column += lanes) {
    let value = input[start + column];
    magnitudes.x = max(magnitudes.x, bitcast<u32>(value) & 0x7fffffffu);
    if (value > own_largest) {
      sum *= exp(own_largest - value);
      own_largest = value;
    }
    sum += exp(value - own_largest);
  }
  // NaN and plus infinity make the row NaN, told by their bits because exp may make a number of them.
  let magnitude = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
  if (magnitude > 0x7f800000u || bitcast<u32>(own_largest) == 0x7f800000u) {
    sum = bitcast<f32>(args.width | 0x7fc00000u);
  }
  let largest = row_largest(own_largest, mine);
  let scale = 1.0 / row_sum(sum * exp(own_largest - largest), mine);
  if (!mine.is_real) {
    return;
  }
  let output_start = args.output_offset + row * args.width;
  for (column = lane; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = start + column;
    let values = vec4f(input[place], input[place + lanes], input[place + 2u * lanes], input[place + 3u * lanes]);
    let parts = exp(values - largest) * scale;
    let output_place = output_start + column;
    output[output_place] = parts.x;
    output[output_place + lanes] = parts.y;
    output[output_place + 2u * lanes] = parts.z;
    output[output_place + 3u * lanes] = parts.w;
  }
  for (; column < args.width; column += lanes) {
    output[output_start + column] = exp(input[start + column] - largest) * scale;
  }
}
