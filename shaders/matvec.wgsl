// output[row, column] = input[row] . weight[column], for few rows: decode's projections. Weights lie as [columns, inner].
// With has_norm the input is RMSNorm's: gain * input / sqrt(mean(input^2) + epsilon), whose squares are summed in the same
// loop. An invocation makes two columns, half of all apart, of one row; when gated they are one output: silu(first) * second.
// Each sum is four sums, every fourth element in one, and then those four.

override workgroup_size: u32 = 64;
// Weights are f32, or two halves in each word.
override half_weights: bool = false;
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
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<u32>;
@group(0) @binding(3) var<storage, read> gain: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn weight_at(place: u32) -> f32 {
  if (!half_weights) {
    return bitcast<f32>(weight[place]);
  }
  let pair = unpack2x16float(weight[place / 2u]);
  return select(pair.x, pair.y, place % 2u == 1u);
}

fn weights(at: u32) -> vec4f {
  return vec4f(weight_at(at), weight_at(at + 1u), weight_at(at + 2u), weight_at(at + 3u));
}

fn total(sums: vec4f) -> f32 {
  return (sums.x + sums.y) + (sums.z + sums.w);
}

fn store(row: u32, column: u32, sum: f32) {
  var value = sum;
  if (args.has_bias != 0u) {
    value += bias[args.bias_offset + column];
  }
  let place = args.output_offset + row * args.columns + column;
  if (args.accumulate != 0u) {
    value += output[place];
  }
  output[place] = value;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  // When gated, `columns` counts outputs, and the weight has twice as many.
  let half = select((args.columns + 1u) / 2u, args.columns, gated);
  let row = index / half;
  if (row >= args.rows) {
    return;
  }
  let first = index % half;
  let second = first + half;
  let second_is_there = gated || second < args.columns;
  let input_start = args.input_offset + row * args.inner;
  let first_start = args.weight_offset + first * args.inner;
  let second_start = select(first_start, args.weight_offset + second * args.inner, second_is_there);
  var first_sums = vec4f();
  var second_sums = vec4f();
  var squares = vec4f();
  var step = 0u;
  for (; step + 4u <= args.inner; step += 4u) {
    let at = input_start + step;
    var four = vec4f(input[at], input[at + 1u], input[at + 2u], input[at + 3u]);
    if (args.has_norm != 0u) {
      squares = fma(four, four, squares);
      let g = args.gain_offset + step;
      four *= vec4f(gain[g], gain[g + 1u], gain[g + 2u], gain[g + 3u]);
    }
    first_sums = fma(weights(first_start + step), four, first_sums);
    second_sums = fma(weights(second_start + step), four, second_sums);
  }
  for (; step < args.inner; step++) {
    var one = input[input_start + step];
    if (args.has_norm != 0u) {
      squares[step % 4u] = fma(one, one, squares[step % 4u]);
      one *= gain[args.gain_offset + step];
    }
    first_sums[step % 4u] = fma(weight_at(first_start + step), one, first_sums[step % 4u]);
    second_sums[step % 4u] = fma(weight_at(second_start + step), one, second_sums[step % 4u]);
  }
  var scale = 1.0;
  if (args.has_norm != 0u) {
    scale = inverseSqrt(total(squares) / f32(args.inner) + args.epsilon);
  }
  let first_sum = total(first_sums) * scale;
  let second_sum = total(second_sums) * scale;
  if (gated) {
    store(row, first, first_sum / (1.0 + exp(min(-first_sum, 80.0))) * second_sum);
    return;
  }
  store(row, first, first_sum);
  if (second_is_there) {
    store(row, second, second_sum);
  }
}
