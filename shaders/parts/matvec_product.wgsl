// output[row, column] = input[row] . weight[column], for few rows: decode's projections. Weights lie as [columns, inner].
// With has_norm the input is RMSNorm's: gain * input / sqrt(mean(input^2) + epsilon), whose squares are summed in the same
// loop. Columns are made in pairs, half of all apart; when gated a pair is one output: silu(first) * second.

override gated: bool = false;

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  gain_offset: u32,
  bias_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  inner: u32,
  has_norm: u32,
  epsilon: f32,
  has_bias: u32,
  accumulate: u32,
  // Elements from one row of output to the next.
  output_stride: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(3) var<storage, read> gain: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

// Pairs of a row. When gated, `columns` counts outputs, and the weight has twice as many.
fn row_pairs() -> u32 {
  return select((args.columns + 1u) / 2u, args.columns, gated);
}

// Where the weights of a column start. Beyond the edge, the last column is read again and not stored.
fn column_start(column: u32) -> u32 {
  let last = select(args.columns, 2u * args.columns, gated) - 1u;
  return args.weight_offset + min(column, last) * args.inner;
}

fn gains(step: u32) -> vec4f {
  let at = args.gain_offset + step;
  return vec4f(gain[at], gain[at + 1u], gain[at + 2u], gain[at + 3u]);
}

fn total(sums: vec4f) -> f32 {
  return (sums.x + sums.y) + (sums.z + sums.w);
}

fn store(row: u32, column: u32, sum: f32) {
  var value = sum;
  if (args.has_bias != 0u) {
    value += bias[args.bias_offset + column];
  }
  let place = args.output_offset + row * args.output_stride + column;
  if (args.accumulate != 0u) {
    value += output[place];
  }
  output[place] = value;
}

// Of a pair's sums, and that of the row's squares. `first` is the pair's first column.
fn store_pair(row: u32, first: u32, first_total: f32, second_total: f32, square_sum: f32) {
  var scale = 1.0;
  if (args.has_norm != 0u) {
    scale = inverseSqrt(square_sum / f32(args.inner) + args.epsilon);
  }
  let first_sum = first_total * scale;
  let second_sum = second_total * scale;
  if (gated) {
    store(row, first, first_sum / (1.0 + exp(min(-first_sum, 80.0))) * second_sum);
    return;
  }
  store(row, first, first_sum);
  let second = first + row_pairs();
  if (second < args.columns) {
    store(row, second, second_sum);
  }
}
