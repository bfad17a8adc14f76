// What `matvec.wgsl` computes, with a subgroup for two columns of one row, so that neighbours read neighbouring weights.
// Its invocations' sums meet by butterflies, an order that depends on the subgroup's size alone. Where inner and offsets are multiples of four, weights and input are read by four (`wide`).

enable subgroups;

override half_weights: bool = false;
override gated: bool = false;
override wide: bool = false;

const workgroup_size = 64u;
// That a workgroup makes, whatever the size of its subgroups.
const pairs = 4u;

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

// The sum over the subgroup, the same in each of its invocations.
fn together(own: vec3f, size: u32) -> vec3f {
  var sums = own;
  for (var gap = 1u; gap < size; gap *= 2u) {
    sums += subgroupShuffleXor(sums, gap);
  }
  return sums;
}

fn weight_at(place: u32) -> f32 {
  if (!half_weights) {
    return bitcast<f32>(weight[place]);
  }
  let pair = unpack2x16float(weight[place / 2u]);
  return select(pair.x, pair.y, place % 2u == 1u);
}

fn weights(at: u32) -> vec4f {
  if (wide && half_weights) {
    return vec4f(unpack2x16float(weight[at / 2u]), unpack2x16float(weight[at / 2u + 1u]));
  }
  if (wide) {
    return weight_wide[at / 4u];
  }
  return vec4f(weight_at(at), weight_at(at + 1u), weight_at(at + 2u), weight_at(at + 3u));
}

fn inputs(at: u32) -> vec4f {
  if (wide) {
    return input_wide[at / 4u];
  }
  return vec4f(input[at], input[at + 1u], input[at + 2u], input[at + 3u]);
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

// Two columns of one row; `index` counts such pairs.
fn pair_of(index: u32, lane: u32, size: u32) {
  // When gated, `columns` counts outputs, and the weight has twice as many.
  let half = select((args.columns + 1u) / 2u, args.columns, gated);
  let row = index / half;
  let first = index % half;
  let second = first + half;
  let second_is_there = gated || second < args.columns;
  let input_start = args.input_offset + row * args.inner;
  let first_start = args.weight_offset + first * args.inner;
  let second_start = select(first_start, args.weight_offset + second * args.inner, second_is_there);
  var first_sums = vec4f();
  var second_sums = vec4f();
  var squares = vec4f();
  // Those who have no pair of their own come along for the sums below, as all of a workgroup must.
  let inner = select(0u, args.inner, row < args.rows);
  let whole = inner - inner % 4u;
  for (var step = 4u * lane; step < whole; step += 4u * size) {
    var four = inputs(input_start + step);
    if (args.has_norm != 0u) {
      squares = fma(four, four, squares);
      let g = args.gain_offset + step;
      four *= vec4f(gain[g], gain[g + 1u], gain[g + 2u], gain[g + 3u]);
    }
    first_sums = fma(weights(first_start + step), four, first_sums);
    second_sums = fma(weights(second_start + step), four, second_sums);
  }
  if (whole + lane < inner) {
    let step = whole + lane;
    var one = input[input_start + step];
    if (args.has_norm != 0u) {
      squares.x = fma(one, one, squares.x);
      one *= gain[args.gain_offset + step];
    }
    first_sums.x = fma(weight_at(first_start + step), one, first_sums.x);
    second_sums.x = fma(weight_at(second_start + step), one, second_sums.x);
  }
  let sums = together(vec3f(total(first_sums), total(second_sums), total(squares)), size);
  if (lane > 0u || row >= args.rows) {
    return;
  }
  var scale = 1.0;
  if (args.has_norm != 0u) {
    scale = inverseSqrt(sums.z / f32(args.inner) + args.epsilon);
  }
  let first_sum = sums.x * scale;
  let second_sum = sums.y * scale;
  if (gated) {
    store(row, first, first_sum / (1.0 + exp(min(-first_sum, 80.0))) * second_sum);
    return;
  }
  store(row, first, first_sum);
  if (second_is_there) {
    store(row, second, second_sum);
  }
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_invocation_id) lane: u32,
  @builtin(subgroup_size) size: u32,
) {
  let start = (group.y * groups.x + group.x) * pairs;
  let at_once = workgroup_size / size;
  for (var done = 0u; done < pairs; done += at_once) {
    let own = done + local / size;
    // Far beyond the last row where this subgroup has nothing to do.
    pair_of(select(0xffffffffu, start + own, own < pairs), lane, size);
  }
}
