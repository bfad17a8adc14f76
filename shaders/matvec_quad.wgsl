// What `matvec.wgsl` computes, for adapters on which loads cost most, software ones above all: an invocation makes two columns of
// one row, and four neighbours, who make the same row, load the input's elements for one another. Weights and input are read
// by four elements: offsets are multiples of four, and inner of sixteen. Sums are as in `matvec.wgsl`.

enable subgroups;

override half_weights: bool = false;
override gated: bool = false;

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  input_wide_offset: u32,
  weight_wide_offset: u32,
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
// The same buffers by four words.
@group(0) @binding(3) var<storage, read> input_wide: array<vec4f>;
@group(0) @binding(4) var<storage, read> weight_wide: array<vec4f>;
@group(0) @binding(5) var<storage, read> gain: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;

fn weights(at: u32) -> vec4f {
  if (half_weights) {
    return vec4f(unpack2x16float(weight[at / 2u]), unpack2x16float(weight[at / 2u + 1u]));
  }
  return weight_wide[at / 4u];
}

fn total(four: vec4f) -> f32 {
  return (four.x + four.y) + (four.z + four.w);
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
fn main(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  // When gated, `columns` counts outputs, and the weight has twice as many.
  let half = select((args.columns + 1u) / 2u, args.columns, gated);
  let index = global.y * groups.x * workgroup_size + global.x;
  // A row's pairs are filled up to a multiple of four, so that neighbours share a row; those beyond the edge work along.
  let filled = (half + 3u) / 4u * 4u;
  let own_row = index / filled;
  let row = min(own_row, args.rows - 1u);
  let own_first = index % filled;
  let first = min(own_first, half - 1u);
  let second = first + half;
  let second_is_there = gated || second < args.columns;
  let lane = 4u * (invocation % 4u);
  let input_start = args.input_offset + row * args.inner + lane;
  let first_start = args.weight_offset + first * args.inner;
  let second_start = select(first_start, args.weight_offset + second * args.inner, second_is_there);
  var first_sums = vec4f();
  var second_sums = vec4f();
  var squares = vec4f();
  for (var step = 0u; step < args.inner; step += 16u) {
    var four = input_wide[(input_start + step) / 4u];
    if (args.has_norm != 0u) {
      squares = fma(four, four, squares);
      let g = args.gain_offset + step + lane;
      four *= vec4f(gain[g], gain[g + 1u], gain[g + 2u], gain[g + 3u]);
    }
    let inputs0 = quadBroadcast(four, 0u);
    let inputs1 = quadBroadcast(four, 1u);
    let inputs2 = quadBroadcast(four, 2u);
    let inputs3 = quadBroadcast(four, 3u);
    let a = first_start + step;
    first_sums = fma(weights(a + 12u), inputs3, fma(weights(a + 8u), inputs2, fma(weights(a + 4u), inputs1, fma(weights(a), inputs0, first_sums))));
    let b = second_start + step;
    second_sums = fma(weights(b + 12u), inputs3, fma(weights(b + 8u), inputs2, fma(weights(b + 4u), inputs1, fma(weights(b), inputs0, second_sums))));
  }
  // Each neighbour has squared a quarter of the row.
  var square_sum = total(squares);
  square_sum += quadSwapX(square_sum);
  square_sum += quadSwapY(square_sum);
  if (own_row >= args.rows || own_first >= half) {
    return;
  }
  var scale = 1.0;
  if (args.has_norm != 0u) {
    scale = inverseSqrt(square_sum / f32(args.inner) + args.epsilon);
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
