// RMSNorm: output = weight * input * r, r = 1 / sqrt(mean(input^2) + epsilon) of each row. How many lanes share a row
// is its part's matter.

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
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> weight: array<Element>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;
@group(0) @binding(4) var<storage, read_write> inverse_rms: array<f32>;

// One by the root of a row's mean square.
fn scale_of(start: u32, elements: u32, mine: RowLane) -> f32 {
  let lanes = mine.lanes;
  var sum_a = Element();
  var sum_b = Element();
  var sum_c = Element();
  var sum_d = Element();
  var column = mine.lane;
  for (; column + 3u * lanes < elements; column += 4u * lanes) {
    let place = start + column;
    let a = input[place];
    let b = input[place + lanes];
    let c = input[place + 2u * lanes];
    let d = input[place + 3u * lanes];
    sum_a += a * a;
    sum_b += b * b;
    sum_c += c * c;
    sum_d += d * d;
  }
  for (; column < elements; column += lanes) {
    let values = input[start + column];
    sum_a += values * values;
  }
  let squares = row_sum(sum_of((sum_a + sum_b) + (sum_c + sum_d)), mine);
  // A sum that is no finite number makes the row NaN; it must not come out as zeros.
  let finite = (bitcast<u32>(squares) & 0x7f800000u) != 0x7f800000u;
  let found_scale = 1.0 / sqrt(squares / f32(args.width) + args.epsilon);
  return select(bitcast<f32>(args.width | 0x7fc00000u), found_scale, finite);
}

// What every row's two elements, `lanes` apart, are multiplied by.
struct Parameters {
  a: Element,
  b: Element,
}

fn write(place: u32, output_place: u32, lanes: u32, scale: f32, weights: Parameters) {
  let a = input[place];
  let b = input[place + lanes];
  output[output_place] = weights.a * (a * scale);
  output[output_place + lanes] = weights.b * (b * scale);
}

fn write_one(place: u32, output_place: u32, scale: f32, own_weight: Element) {
  output[output_place] = own_weight * (input[place] * scale);
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
  var scales: array<f32, 4>;
  for (var each = 0u; each < count; each++) {
    scales[each] = scale_of(start + each * elements, elements, mine);
  }
  if (!mine.is_real) {
    return;
  }
  // Named one by one: an array that a loop walks would cost some devices more than reading the weight again.
  let scale_0 = scales[0];
  let scale_1 = scales[1];
  let scale_2 = scales[2];
  let scale_3 = scales[3];
  let output_start = args.output_offset / element_size + row * elements;
  let weight_start = args.weight_offset / element_size;
  var column = lane;
  for (; column + lanes < elements; column += 2u * lanes) {
    let from_weight = weight_start + column;
    let weights = Parameters(weight[from_weight], weight[from_weight + lanes]);
    let place = start + column;
    let to = output_start + column;
    write(place, to, lanes, scale_0, weights);
    if (count > 1u) {
      write(place + elements, to + elements, lanes, scale_1, weights);
    }
    if (count > 2u) {
      write(place + 2u * elements, to + 2u * elements, lanes, scale_2, weights);
    }
    if (count > 3u) {
      write(place + 3u * elements, to + 3u * elements, lanes, scale_3, weights);
    }
  }
  for (; column < elements; column += lanes) {
    let own_weight = weight[weight_start + column];
    let place = start + column;
    let to = output_start + column;
    write_one(place, to, scale_0, own_weight);
    if (count > 1u) {
      write_one(place + elements, to + elements, scale_1, own_weight);
    }
    if (count > 2u) {
      write_one(place + 2u * elements, to + 2u * elements, scale_2, own_weight);
    }
    if (count > 3u) {
      write_one(place + 3u * elements, to + 3u * elements, scale_3, own_weight);
    }
  }
  if (lane > 0u) {
    return;
  }
  inverse_rms[args.inverse_rms_offset + row] = scale_0;
  if (count > 1u) {
    inverse_rms[args.inverse_rms_offset + row + 1u] = scale_1;
  }
  if (count > 2u) {
    inverse_rms[args.inverse_rms_offset + row + 2u] = scale_2;
  }
  if (count > 3u) {
    inverse_rms[args.inverse_rms_offset + row + 3u] = scale_3;
  }
}
