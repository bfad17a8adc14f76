// RMSNorm backward to the input: with g = weight * output_gradient and r = inverse_rms of the row, input_gradient
// = r * g - input * r^3 * mean(g * input). How many lanes share a row is its part's matter.

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  inverse_rms_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  rows: u32,
  width: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(4) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> input_gradient: array<f32>;

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
  let input_start = args.input_offset + start;
  let gradient_start = args.output_gradient_offset + start;
  let scale = inverse_rms[args.inverse_rms_offset + row];
  var sums = vec2f();
  var column = lane;
  for (; column + lanes < args.width; column += 2u * lanes) {
    let next = column + lanes;
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let next_gradient = weight[args.weight_offset + next] * output_gradient[gradient_start + next];
    sums += vec2f(gradient * input[input_start + column], next_gradient * input[input_start + next]);
  }
  for (; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    sums.x += gradient * input[input_start + column];
  }
  let pull = row_sum(sums.x + sums.y, mine) / f32(args.width) * scale * scale * scale;
  if (!mine.is_real) {
    return;
  }
  for (column = lane; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let value = scale * gradient - pull * input[input_start + column];
    let place = args.input_gradient_offset + start + column;
    if (args.accumulate == 0u) {
      input_gradient[place] = value;
    } else {
      input_gradient[place] += value;
    }
  }
}
