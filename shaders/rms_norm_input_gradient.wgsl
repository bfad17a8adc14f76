// RMSNorm backward to the input: with g = weight * output_gradient and r = inverse_rms of the row, input_gradient = r
// * g - input * r^3 * mean(g * input). Parts say how many lanes share a row, and how many columns an Element is.

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
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;
@group(0) @binding(3) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(4) var<storage, read> output_gradient: array<Element>;
@group(0) @binding(5) var<storage, read_write> input_gradient: array<Element>;

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
  let input_start = args.input_offset / element_size + row * elements;
  let gradient_start = args.output_gradient_offset / element_size + row * elements;
  let weight_start = args.weight_offset / element_size;
  let scale = inverse_rms[args.inverse_rms_offset + row];
  var sums = Element();
  var next_sums = Element();
  var column = lane;
  for (; column + lanes < elements; column += 2u * lanes) {
    let next = column + lanes;
    let gradient = weight[weight_start + column] * output_gradient[gradient_start + column];
    let next_gradient = weight[weight_start + next] * output_gradient[gradient_start + next];
    sums += gradient * input[input_start + column];
    next_sums += next_gradient * input[input_start + next];
  }
  for (; column < elements; column += lanes) {
    let gradient = weight[weight_start + column] * output_gradient[gradient_start + column];
    sums += gradient * input[input_start + column];
  }
  let pull = row_sum(sum_of(sums + next_sums), mine) / f32(args.width) * scale * scale * scale;
  if (!mine.is_real) {
    return;
  }
  let start = args.input_gradient_offset / element_size + row * elements;
  for (column = lane; column < elements; column += lanes) {
    let gradient = weight[weight_start + column] * output_gradient[gradient_start + column];
    let value = scale * gradient - pull * input[input_start + column];
    if (args.accumulate == 0u) {
      input_gradient[start + column] = value;
    } else {
      input_gradient[start + column] += value;
    }
  }
}
