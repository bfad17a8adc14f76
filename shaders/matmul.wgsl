// output = activation(left x right + bias) + residual, or that added to output. Strides tell how the operands are stored, so one shader serves NN, NT and TN.
// `main`: an invocation sums 8 rows of 4 columns; the columns lie a quarter of the width apart, so that neighbouring
// invocations read neighbouring columns. `single_row`: one element each, in the same order of sums.

override workgroup_size: u32 = 64;
// Right is stored in f32, or in halves, two in each word.
override half_weights: bool = false;

struct Arguments {
  left_offset: u32,
  right_offset: u32,
  bias_offset: u32,
  residual_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  inner: u32,
  left_row_stride: u32,
  left_inner_stride: u32,
  right_inner_stride: u32,
  right_column_stride: u32,
  has_bias: u32,
  activation: u32,
  has_residual: u32,
  accumulate: u32,
  // Elements from one row of output and residual to the next.
  output_stride: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn right_at(place: u32) -> f32 {
  if (!half_weights) {
    return bitcast<f32>(right[place]);
  }
  let pair = unpack2x16float(right[place / 2u]);
  return select(pair.x, pair.y, place % 2u == 1u);
}

fn store_one(row: u32, column: u32, sum: f32) {
  var value = sum;
  if (args.has_bias != 0u) {
    value += bias[args.bias_offset + column];
  }
  value = activated(value);
  let place = row * args.output_stride + column;
  if (args.has_residual != 0u) {
    value += residual[args.residual_offset + place];
  }
  if (args.accumulate != 0u) {
    value += output[args.output_offset + place];
  }
  output[args.output_offset + place] = value;
}

fn store(row: u32, columns: vec4u, sum: vec4f) {
  if (row >= args.rows) {
    return;
  }
  for (var index = 0u; index < 4u; index++) {
    if (columns[index] < args.columns) {
      store_one(row, columns[index], sum[index]);
    }
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let first_row = index / quarter * 8u;
  if (first_row >= args.rows) {
    return;
  }
  let last_row = args.rows - 1u;
  let columns = vec4u(index % quarter) + vec4u(0u, 1u, 2u, 3u) * quarter;
  // Beyond the edge, invocations read the last row and column again and store nothing.
  var at = args.right_offset + min(columns, vec4u(args.columns - 1u)) * args.right_column_stride;
  let left0 = args.left_offset + min(first_row + 0u, last_row) * args.left_row_stride;
  let left1 = args.left_offset + min(first_row + 1u, last_row) * args.left_row_stride;
  let left2 = args.left_offset + min(first_row + 2u, last_row) * args.left_row_stride;
  let left3 = args.left_offset + min(first_row + 3u, last_row) * args.left_row_stride;
  let left4 = args.left_offset + min(first_row + 4u, last_row) * args.left_row_stride;
  let left5 = args.left_offset + min(first_row + 5u, last_row) * args.left_row_stride;
  let left6 = args.left_offset + min(first_row + 6u, last_row) * args.left_row_stride;
  let left7 = args.left_offset + min(first_row + 7u, last_row) * args.left_row_stride;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  var sum4 = vec4f();
  var sum5 = vec4f();
  var sum6 = vec4f();
  var sum7 = vec4f();
  var step = 0u;
  for (var inner = 0u; inner < args.inner; inner++) {
    let four = vec4f(right_at(at.x), right_at(at.y), right_at(at.z), right_at(at.w));
    sum0 = fma(vec4f(left[left0 + step]), four, sum0);
    sum1 = fma(vec4f(left[left1 + step]), four, sum1);
    sum2 = fma(vec4f(left[left2 + step]), four, sum2);
    sum3 = fma(vec4f(left[left3 + step]), four, sum3);
    sum4 = fma(vec4f(left[left4 + step]), four, sum4);
    sum5 = fma(vec4f(left[left5 + step]), four, sum5);
    sum6 = fma(vec4f(left[left6 + step]), four, sum6);
    sum7 = fma(vec4f(left[left7 + step]), four, sum7);
    step += args.left_inner_stride;
    at += vec4u(args.right_inner_stride);
  }
  store(first_row + 0u, columns, sum0);
  store(first_row + 1u, columns, sum1);
  store(first_row + 2u, columns, sum2);
  store(first_row + 3u, columns, sum3);
  store(first_row + 4u, columns, sum4);
  store(first_row + 5u, columns, sum5);
  store(first_row + 6u, columns, sum6);
  store(first_row + 7u, columns, sum7);
}

@compute @workgroup_size(workgroup_size)
fn single_row(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.columns) {
    return;
  }
  var left_at = args.left_offset + index / args.columns * args.left_row_stride;
  var right_place = args.right_offset + index % args.columns * args.right_column_stride;
  var sum = 0.0;
  for (var inner = 0u; inner < args.inner; inner++) {
    sum = fma(left[left_at], right_at(right_place), sum);
    left_at += args.left_inner_stride;
    right_place += args.right_inner_stride;
  }
  store_one(index / args.columns, index % args.columns, sum);
}
