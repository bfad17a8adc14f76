// LayerNorm backward to the input: with n = (input - mean) * r and g = weight * output_gradient, input_gradient = r *
// (g - mean(g) - n * mean(g * n)) of each row. Parts say how many lanes share a row, and how many columns an Element
// is.

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
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inverse_deviation: array<f32>;
@group(0) @binding(5) var<storage, read> output_gradient: array<Element>;
@group(0) @binding(6) var<storage, read_write> input_gradient: array<Element>;

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
  let start = args.input_offset / element_size + row * elements;
  let gradient_start = args.output_gradient_offset / element_size + row * elements;
  let weight_start = args.weight_offset / element_size;
  let centre = mean[args.mean_offset + row];
  let scale = inverse_deviation[args.inverse_deviation_offset + row];
  var gradients = Element();
  var pulls = Element();
  for (var column = lane; column < elements; column += lanes) {
    let gradient = weight[weight_start + column] * output_gradient[gradient_start + column];
    let normal = (input[start + column] - centre) * scale;
    gradients += gradient;
    pulls += gradient * normal;
  }
  let means = row_sums(vec2f(sum_of(gradients), sum_of(pulls)), mine) / f32(args.width);
  if (!mine.is_real) {
    return;
  }
  let input_gradient_start = args.input_gradient_offset / element_size + row * elements;
  for (var column = lane; column < elements; column += lanes) {
    let gradient = weight[weight_start + column] * output_gradient[gradient_start + column];
    let normal = (input[start + column] - centre) * scale;
    let value = scale * (gradient - means.x - normal * means.y);
    let place = input_gradient_start + column;
    if (args.accumulate == 0u) {
      input_gradient[place] = value;
    } else {
      input_gradient[place] += value;
    }
  }
}
