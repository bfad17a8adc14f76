// Softmax of each row: exp(x - largest) / sum. The largest and the sum are found in one pass, the sum rescaled
// whenever a larger value is met. Parts say how many lanes share a row, and how many columns an Element is.

struct Arguments {
  input_offset: u32,
  output_offset: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;

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
  var own_largest = -3.0e38;
  // Of the values themselves: no finite number when one of them is none.
  var total = 0.0;
  var sum = 0.0;
  var column = lane;
  for (; column + 3u * lanes < elements; column += 4u * lanes) {
    let place = start + column;
    let a = input[place];
    let b = input[place + lanes];
    let c = input[place + 2u * lanes];
    let d = input[place + 3u * lanes];
    total += sum_of((a + b) + (c + d));
    let larger = largest_of(max(max(a, b), max(c, d)));
    if (larger > own_largest) {
      sum *= exp(own_largest - larger);
      own_largest = larger;
    }
    sum += sum_of((exp(a - own_largest) + exp(b - own_largest)) + (exp(c - own_largest) + exp(d - own_largest)));
  }
  for (; column < elements; column += lanes) {
    let values = input[start + column];
    total += sum_of(values);
    let larger = largest_of(values);
    if (larger > own_largest) {
      sum *= exp(own_largest - larger);
      own_largest = larger;
    }
    sum += sum_of(exp(values - own_largest));
  }
  // NaN and plus infinity make the row NaN, told by their bits because exp may make a number of them. Bits are looked
  // at where the total gives reason to: minus infinity and large numbers do too, and are none of these.
  var magnitude = 0u;
  if ((bitcast<u32>(total) & 0x7f800000u) == 0x7f800000u) {
    for (column = lane; column < elements; column += lanes) {
      magnitude = max(magnitude, magnitude_of(input[start + column]));
    }
  }
  if (magnitude > 0x7f800000u || bitcast<u32>(own_largest) == 0x7f800000u) {
    sum = bitcast<f32>(args.width | 0x7fc00000u);
  }
  let largest = row_largest(own_largest, mine);
  let scale = 1.0 / row_sum(sum * exp(own_largest - largest), mine);
  if (!mine.is_real) {
    return;
  }
  let output_start = args.output_offset / element_size + row * elements;
  for (column = lane; column + 3u * lanes < elements; column += 4u * lanes) {
    let place = start + column;
    let output_place = output_start + column;
    output[output_place] = exp(input[place] - largest) * scale;
    output[output_place + lanes] = exp(input[place + lanes] - largest) * scale;
    output[output_place + 2u * lanes] = exp(input[place + 2u * lanes] - largest) * scale;
    output[output_place + 3u * lanes] = exp(input[place + 3u * lanes] - largest) * scale;
  }
  for (; column < elements; column += lanes) {
    output[output_start + column] = exp(input[start + column] - largest) * scale;
  }
}
