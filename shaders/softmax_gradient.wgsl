// Softmax backward: input_gradient = output * (output_gradient - sum(output * output_gradient)) of each row. How
// many lanes share a row is its part's matter.

struct Arguments {
  output_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(invocation: Invocation) {
  let mine = row_lane(invocation, args.rows);
  if (is_idle(mine)) {
    return;
  }
  let row = mine.row;
  let lane = mine.lane;
  let lanes = mine.lanes;
  let output_start = args.output_offset + row * args.width;
  let gradient_start = args.output_gradient_offset + row * args.width;
  var sums = vec4f();
  var column = lane;
  for (; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = output_start + column;
    let from_place = gradient_start + column;
    sums.x += output[place] * output_gradient[from_place];
    sums.y += output[place + lanes] * output_gradient[from_place + lanes];
    sums.z += output[place + 2u * lanes] * output_gradient[from_place + 2u * lanes];
    sums.w += output[place + 3u * lanes] * output_gradient[from_place + 3u * lanes];
  }
  for (; column < args.width; column += lanes) {
    sums.x += output[output_start + column] * output_gradient[gradient_start + column];
  }
  let pull = row_sum((sums.x + sums.y) + (sums.z + sums.w), mine);
  if (!mine.is_real) {
    return;
  }
  for (column = lane; column < args.width; column += lanes) {
    let value = output[output_start + column] * (output_gradient[gradient_start + column] - pull);
    input_gradient[args.input_gradient_offset + row * args.width + column] = value;
  }
}
