// LayerNorm backward to the input: with n = (input - mean) * r and g = weight * output_gradient, input_gradient =
// r * (g - mean(g) - n * mean(g * n)) of each row. How many lanes share a row is its part's matter.

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  mean_offset: u32,
  inverse_deviation_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  rows: u32,
  width: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inverse_deviation: array<f32>;
@group(0) @binding(5) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> input_gradient: array<f32>;

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
  let gradient_start = args.output_gradient_offset + row * args.width;
  let centre = mean[args.mean_offset + row];
  let scale = inverse_deviation[args.inverse_deviation_offset + row];
  var sums = vec2f();
  for (var column = lane; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let normal = (input[start + column] - centre) * scale;
    sums += vec2f(gradient, gradient * normal);
  }
  let means = row_sums(sums, mine) / f32(args.width);
  if (!mine.is_real) {
    return;
  }
  for (var column = lane; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let normal = (input[start + column] - centre) * scale;
    let value = scale * (gradient - means.x - normal * means.y);
    let place = args.input_gradient_offset + row * args.width + column;
    if (args.accumulate == 0u) {
      input_gradient[place] = value;
    } else {
      input_gradient[place] += value;
    }
  }
}
