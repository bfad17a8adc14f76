// Softmax backward: input_gradient = output * (output_gradient - sum(output * output_gradient)) of each row. How many
// lanes share a row is its part's matter.

struct Arguments {
  output_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> output: array<Element>;
@group(0) @binding(2) var<storage, read> output_gradient: array<Element>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<Element>;

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
  let output_start = args.output_offset / element_size + row * elements;
  let gradient_start = args.output_gradient_offset / element_size + row * elements;
  let start = args.input_gradient_offset / element_size + row * elements;
  var a = Element();
  var b = Element();
  var c = Element();
  var d = Element();
  var column = lane;
  for (; column + 3u * lanes < elements; column += 4u * lanes) {
    let place = output_start + column;
    let from_place = gradient_start + column;
    a += output[place] * output_gradient[from_place];
    b += output[place + lanes] * output_gradient[from_place + lanes];
    c += output[place + 2u * lanes] * output_gradient[from_place + 2u * lanes];
    d += output[place + 3u * lanes] * output_gradient[from_place + 3u * lanes];
  }
  for (; column < elements; column += lanes) {
    a += output[output_start + column] * output_gradient[gradient_start + column];
  }
  let pull = row_sum(sum_of((a + b) + (c + d)), mine);
  if (!mine.is_real) {
    return;
  }
  for (column = lane; column < elements; column += lanes) {
    input_gradient[start + column] =
      output[output_start + column] * (output_gradient[gradient_start + column] - pull);
  }
}
