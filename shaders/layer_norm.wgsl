// LayerNorm: output = weight * (input - mean) * r + bias, r = 1 / sqrt(variance + epsilon) of each row. One pass
// finds both, from differences to the row's first element: those lose at most a factor of width in precision, however
// far the mean is from zero. Parts say how many lanes share a row, and how many columns an Element is.

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
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;
@group(0) @binding(3) var<storage, read> bias: array<Element>;
@group(0) @binding(4) var<storage, read_write> output: array<Element>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> inverse_deviation: array<f32>;

// The mean of a row, and one by its deviation.
fn shape_of(start: u32, elements: u32, mine: RowLane) -> vec2f {
  let lanes = mine.lanes;
  let shift = component_of(input[start], 0u);
  var sum_a = Element();
  var sum_b = Element();
  var sum_c = Element();
  var sum_d = Element();
  var square_a = Element();
  var square_b = Element();
  var square_c = Element();
  var square_d = Element();
  var column = mine.lane;
  for (; column + 3u * lanes < elements; column += 4u * lanes) {
    let place = start + column;
    let a = input[place] - shift;
    let b = input[place + lanes] - shift;
    let c = input[place + 2u * lanes] - shift;
    let d = input[place + 3u * lanes] - shift;
    sum_a += a;
    sum_b += b;
    sum_c += c;
    sum_d += d;
    square_a += a * a;
    square_b += b * b;
    square_c += c * c;
    square_d += d * d;
  }
  for (; column < elements; column += lanes) {
    let values = input[start + column] - shift;
    sum_a += values;
    square_a += values * values;
  }
  let sum = sum_of((sum_a + sum_b) + (sum_c + sum_d));
  let square = sum_of((square_a + square_b) + (square_c + square_d));
  let means = row_sums(vec2f(sum, square), mine) / f32(args.width);
  let spread = means.y - means.x * means.x;
  // A sum that is no finite number makes the row NaN; it must not come out as zeros.
  let finite = (bitcast<u32>(means.y) & 0x7f800000u) != 0x7f800000u;
  let found_scale = 1.0 / sqrt(max(spread, 0.0) + args.epsilon);
  return vec2f(shift + means.x, select(bitcast<f32>(args.width | 0x7fc00000u), found_scale, finite));
}

// What every row's two elements, `lanes` apart, are multiplied by or moved by.
struct Parameters {
  a: Element,
  b: Element,
}

fn write(place: u32, output_place: u32, lanes: u32, shape: vec2f, weights: Parameters, biases: Parameters) {
  let a = input[place];
  let b = input[place + lanes];
  output[output_place] = weights.a * ((a - shape.x) * shape.y) + biases.a;
  output[output_place + lanes] = weights.b * ((b - shape.x) * shape.y) + biases.b;
}

fn write_one(place: u32, output_place: u32, shape: vec2f, own_weight: Element, own_bias: Element) {
  output[output_place] = own_weight * ((input[place] - shape.x) * shape.y) + own_bias;
}

fn keep(row: u32, shape: vec2f) {
  mean[args.mean_offset + row] = shape.x;
  inverse_deviation[args.inverse_deviation_offset + row] = shape.y;
}

@compute @workgroup_size(workgroup_size)
fn main(invocation: Invocation) {
  let mine = row_lane(invocation, args.rows);
  if (is_idle(mine)) {
    return;
  }
  let row = mine.row;
  let count = rows_here(mine, args.rows);
  let lane = mine.lane;
  let lanes = mine.lanes;
  let elements = args.width / element_size;
  let start = args.input_offset / element_size + row * elements;
  var shapes: array<vec2f, 4>;
  for (var each = 0u; each < count; each++) {
    shapes[each] = shape_of(start + each * elements, elements, mine);
  }
  if (!mine.is_real) {
    return;
  }
  // Named one by one: an array that a loop walks would cost some devices more than reading the weight again.
  let shape_0 = shapes[0];
  let shape_1 = shapes[1];
  let shape_2 = shapes[2];
  let shape_3 = shapes[3];
  let output_start = args.output_offset / element_size + row * elements;
  let weight_start = args.weight_offset / element_size;
  let bias_start = args.bias_offset / element_size;
  var column = lane;
  for (; column + lanes < elements; column += 2u * lanes) {
    let from_weight = weight_start + column;
    let weights = Parameters(weight[from_weight], weight[from_weight + lanes]);
    let from_bias = bias_start + column;
    let biases = Parameters(bias[from_bias], bias[from_bias + lanes]);
    let place = start + column;
    let to = output_start + column;
    write(place, to, lanes, shape_0, weights, biases);
    if (count > 1u) {
      write(place + elements, to + elements, lanes, shape_1, weights, biases);
    }
    if (count > 2u) {
      write(place + 2u * elements, to + 2u * elements, lanes, shape_2, weights, biases);
    }
    if (count > 3u) {
      write(place + 3u * elements, to + 3u * elements, lanes, shape_3, weights, biases);
    }
  }
  for (; column < elements; column += lanes) {
    let own_weight = weight[weight_start + column];
    let own_bias = bias[bias_start + column];
    let place = start + column;
    let to = output_start + column;
    write_one(place, to, shape_0, own_weight, own_bias);
    if (count > 1u) {
      write_one(place + elements, to + elements, shape_1, own_weight, own_bias);
    }
    if (count > 2u) {
      write_one(place + 2u * elements, to + 2u * elements, shape_2, own_weight, own_bias);
    }
    if (count > 3u) {
      write_one(place + 3u * elements, to + 3u * elements, shape_3, own_weight, own_bias);
    }
  }
  if (lane > 0u) {
    return;
  }
  keep(row, shape_0);
  if (count > 1u) {
    keep(row + 1u, shape_1);
  }
  if (count > 2u) {
    keep(row + 2u, shape_2);
  }
  if (count > 3u) {
    keep(row + 3u, shape_3);
  }
}
