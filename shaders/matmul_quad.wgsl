// The product as in `matmul.wgsl` for adapters on which loads cost most, software ones above all: an invocation makes 16 rows
// of two times 4 columns, and four neighbours, who make the same rows, load left's elements for one another. Every operand is
// read by four elements: offsets, columns of NN and TN, inner, and TN's rows are multiples of four.

enable subgroups;

override workgroup_size: u32 = 64;
struct Arguments {
  left_offset: u32,
  right_offset: u32,
  bias_offset: u32,
  residual_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  inner: u32,
  has_bias: u32,
  activation: u32,
  has_residual: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> left: array<vec4f>;
@group(0) @binding(2) var<storage, read> right: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

// 1 GELU (by tanh, written with the logistic function), 2 SiLU, 3 ReLU. Comparisons keep NaN, as max would not.
fn activated(x: f32) -> f32 {
  switch args.activation {
    case 1u: {
      return x / (1.0 + exp(min(-1.5957691216 * (x + 0.044715 * x * x * x), 80.0)));
    }
    case 2u: {
      return x / (1.0 + exp(min(-x, 80.0)));
    }
    case 3u: {
      return select(x, 0.0, x < 0.0);
    }
    default: {
      return x;
    }
  }
}

fn store(row: u32, column: u32, sum: f32) {
  var value = sum;
  if (args.has_bias != 0u) {
    value += bias[args.bias_offset + column];
  }
  value = activated(value);
  let place = row * args.columns + column;
  if (args.has_residual != 0u) {
    value += residual[args.residual_offset + place];
  }
  if (args.accumulate != 0u) {
    value += output[args.output_offset + place];
  }
  output[args.output_offset + place] = value;
}

// Four columns of a row. Loops whose bounds the compiler cannot know keep the epilogue's code single.
fn store_four(row: u32, column: u32, sums: vec4f) {
  if (row >= args.rows) {
    return;
  }
  var own = sums;
  for (var index = 0u; index < min(4u, args.columns - min(column, args.columns)); index++) {
    store(row, column + index, own[index]);
  }
}

fn add_steps(sum: vec4f, a: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) -> vec4f {
  return fma(vec4f(a.w), b3, fma(vec4f(a.z), b2, fma(vec4f(a.y), b1, fma(vec4f(a.x), b0, sum))));
}

// First row, and first columns of the two blocks, which lie half the width apart. Four neighbours have the same rows; those
// beyond the edges work along, as the others need them, and store nothing.
fn place_of(index: u32) -> vec3u {
  let half = (args.columns + 31u) / 32u * 4u;
  let column = index % half * 4u;
  return vec3u(index / half * 16u, column, column + half * 4u);
}

// Where vectors of left and right begin. Beyond the edge the last line is read again.
fn left_row(row: u32) -> u32 {
  return (args.left_offset + min(row, args.rows - 1u) * args.inner) / 4u;
}

fn right_column(column: u32) -> u32 {
  return (args.right_offset + min(column, args.columns - 1u) * args.inner) / 4u;
}

fn left_lines(row: u32) -> u32 {
  return (args.left_offset + min(row, args.rows - 4u)) / 4u;
}

fn right_lines(column: u32) -> u32 {
  return (args.right_offset + min(column, args.columns - 4u)) / 4u;
}

fn store_all(place: vec3u, sums: ptr<function, array<vec4f, 32>>) {
  for (var index = 0u; index < 16u && place.x + index < args.rows; index++) {
    store_four(place.x + index, place.y, (*sums)[2u * index]);
    store_four(place.x + index, place.z, (*sums)[2u * index + 1u]);
  }
}

@compute @workgroup_size(workgroup_size)
fn nn(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let place = place_of(global.y * groups.x * workgroup_size + global.x);
  let lane = invocation % 4u;
  let rows0 = left_row(place.x + lane);
  let rows1 = left_row(place.x + 4u + lane);
  let rows2 = left_row(place.x + 8u + lane);
  let rows3 = left_row(place.x + 12u + lane);
  let columns0 = right_lines(place.y);
  let columns1 = right_lines(place.z);
  let right_stride = args.columns / 4u;
  var sum0_0 = vec4f(); var sum0_1 = vec4f();
  var sum1_0 = vec4f(); var sum1_1 = vec4f();
  var sum2_0 = vec4f(); var sum2_1 = vec4f();
  var sum3_0 = vec4f(); var sum3_1 = vec4f();
  var sum4_0 = vec4f(); var sum4_1 = vec4f();
  var sum5_0 = vec4f(); var sum5_1 = vec4f();
  var sum6_0 = vec4f(); var sum6_1 = vec4f();
  var sum7_0 = vec4f(); var sum7_1 = vec4f();
  var sum8_0 = vec4f(); var sum8_1 = vec4f();
  var sum9_0 = vec4f(); var sum9_1 = vec4f();
  var sum10_0 = vec4f(); var sum10_1 = vec4f();
  var sum11_0 = vec4f(); var sum11_1 = vec4f();
  var sum12_0 = vec4f(); var sum12_1 = vec4f();
  var sum13_0 = vec4f(); var sum13_1 = vec4f();
  var sum14_0 = vec4f(); var sum14_1 = vec4f();
  var sum15_0 = vec4f(); var sum15_1 = vec4f();
  for (var step = 0u; step < args.inner; step += 4u) {
    let a0 = left[rows0 + step / 4u];
    let a1 = left[rows1 + step / 4u];
    let a2 = left[rows2 + step / 4u];
    let a3 = left[rows3 + step / 4u];
    let b00 = right[columns0 + step * right_stride];
    let b01 = right[columns0 + (step + 1u) * right_stride];
    let b02 = right[columns0 + (step + 2u) * right_stride];
    let b03 = right[columns0 + (step + 3u) * right_stride];
    let b10 = right[columns1 + step * right_stride];
    let b11 = right[columns1 + (step + 1u) * right_stride];
    let b12 = right[columns1 + (step + 2u) * right_stride];
    let b13 = right[columns1 + (step + 3u) * right_stride];
    let row0 = quadBroadcast(a0, 0u);
    sum0_0 = add_steps(sum0_0, row0, b00, b01, b02, b03);
    sum0_1 = add_steps(sum0_1, row0, b10, b11, b12, b13);
    let row1 = quadBroadcast(a0, 1u);
    sum1_0 = add_steps(sum1_0, row1, b00, b01, b02, b03);
    sum1_1 = add_steps(sum1_1, row1, b10, b11, b12, b13);
    let row2 = quadBroadcast(a0, 2u);
    sum2_0 = add_steps(sum2_0, row2, b00, b01, b02, b03);
    sum2_1 = add_steps(sum2_1, row2, b10, b11, b12, b13);
    let row3 = quadBroadcast(a0, 3u);
    sum3_0 = add_steps(sum3_0, row3, b00, b01, b02, b03);
    sum3_1 = add_steps(sum3_1, row3, b10, b11, b12, b13);
    let row4 = quadBroadcast(a1, 0u);
    sum4_0 = add_steps(sum4_0, row4, b00, b01, b02, b03);
    sum4_1 = add_steps(sum4_1, row4, b10, b11, b12, b13);
    let row5 = quadBroadcast(a1, 1u);
    sum5_0 = add_steps(sum5_0, row5, b00, b01, b02, b03);
    sum5_1 = add_steps(sum5_1, row5, b10, b11, b12, b13);
    let row6 = quadBroadcast(a1, 2u);
    sum6_0 = add_steps(sum6_0, row6, b00, b01, b02, b03);
    sum6_1 = add_steps(sum6_1, row6, b10, b11, b12, b13);
    let row7 = quadBroadcast(a1, 3u);
    sum7_0 = add_steps(sum7_0, row7, b00, b01, b02, b03);
    sum7_1 = add_steps(sum7_1, row7, b10, b11, b12, b13);
    let row8 = quadBroadcast(a2, 0u);
    sum8_0 = add_steps(sum8_0, row8, b00, b01, b02, b03);
    sum8_1 = add_steps(sum8_1, row8, b10, b11, b12, b13);
    let row9 = quadBroadcast(a2, 1u);
    sum9_0 = add_steps(sum9_0, row9, b00, b01, b02, b03);
    sum9_1 = add_steps(sum9_1, row9, b10, b11, b12, b13);
    let row10 = quadBroadcast(a2, 2u);
    sum10_0 = add_steps(sum10_0, row10, b00, b01, b02, b03);
    sum10_1 = add_steps(sum10_1, row10, b10, b11, b12, b13);
    let row11 = quadBroadcast(a2, 3u);
    sum11_0 = add_steps(sum11_0, row11, b00, b01, b02, b03);
    sum11_1 = add_steps(sum11_1, row11, b10, b11, b12, b13);
    let row12 = quadBroadcast(a3, 0u);
    sum12_0 = add_steps(sum12_0, row12, b00, b01, b02, b03);
    sum12_1 = add_steps(sum12_1, row12, b10, b11, b12, b13);
    let row13 = quadBroadcast(a3, 1u);
    sum13_0 = add_steps(sum13_0, row13, b00, b01, b02, b03);
    sum13_1 = add_steps(sum13_1, row13, b10, b11, b12, b13);
    let row14 = quadBroadcast(a3, 2u);
    sum14_0 = add_steps(sum14_0, row14, b00, b01, b02, b03);
    sum14_1 = add_steps(sum14_1, row14, b10, b11, b12, b13);
    let row15 = quadBroadcast(a3, 3u);
    sum15_0 = add_steps(sum15_0, row15, b00, b01, b02, b03);
    sum15_1 = add_steps(sum15_1, row15, b10, b11, b12, b13);
  }
  var sums = array<vec4f, 32>(
    sum0_0, sum0_1,
    sum1_0, sum1_1,
    sum2_0, sum2_1,
    sum3_0, sum3_1,
    sum4_0, sum4_1,
    sum5_0, sum5_1,
    sum6_0, sum6_1,
    sum7_0, sum7_1,
    sum8_0, sum8_1,
    sum9_0, sum9_1,
    sum10_0, sum10_1,
    sum11_0, sum11_1,
    sum12_0, sum12_1,
    sum13_0, sum13_1,
    sum14_0, sum14_1,
    sum15_0, sum15_1,
  );
  store_all(place, &sums);
}

@compute @workgroup_size(workgroup_size)
fn nt(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let place = place_of(global.y * groups.x * workgroup_size + global.x);
  let lane = invocation % 4u;
  let rows0 = left_row(place.x + lane);
  let rows1 = left_row(place.x + 4u + lane);
  let rows2 = left_row(place.x + 8u + lane);
  let rows3 = left_row(place.x + 12u + lane);
  let column00 = right_column(place.y);
  let column01 = right_column(place.y + 1u);
  let column02 = right_column(place.y + 2u);
  let column03 = right_column(place.y + 3u);
  let column10 = right_column(place.z);
  let column11 = right_column(place.z + 1u);
  let column12 = right_column(place.z + 2u);
  let column13 = right_column(place.z + 3u);
  var sum0_0 = vec4f(); var sum0_1 = vec4f();
  var sum1_0 = vec4f(); var sum1_1 = vec4f();
  var sum2_0 = vec4f(); var sum2_1 = vec4f();
  var sum3_0 = vec4f(); var sum3_1 = vec4f();
  var sum4_0 = vec4f(); var sum4_1 = vec4f();
  var sum5_0 = vec4f(); var sum5_1 = vec4f();
  var sum6_0 = vec4f(); var sum6_1 = vec4f();
  var sum7_0 = vec4f(); var sum7_1 = vec4f();
  var sum8_0 = vec4f(); var sum8_1 = vec4f();
  var sum9_0 = vec4f(); var sum9_1 = vec4f();
  var sum10_0 = vec4f(); var sum10_1 = vec4f();
  var sum11_0 = vec4f(); var sum11_1 = vec4f();
  var sum12_0 = vec4f(); var sum12_1 = vec4f();
  var sum13_0 = vec4f(); var sum13_1 = vec4f();
  var sum14_0 = vec4f(); var sum14_1 = vec4f();
  var sum15_0 = vec4f(); var sum15_1 = vec4f();
  for (var step = 0u; step < args.inner; step += 4u) {
    let a0 = left[rows0 + step / 4u];
    let a1 = left[rows1 + step / 4u];
    let a2 = left[rows2 + step / 4u];
    let a3 = left[rows3 + step / 4u];
    let c00 = right[column00 + step / 4u];
    let c01 = right[column01 + step / 4u];
    let c02 = right[column02 + step / 4u];
    let c03 = right[column03 + step / 4u];
    let b00 = vec4f(c00.x, c01.x, c02.x, c03.x);
    let b01 = vec4f(c00.y, c01.y, c02.y, c03.y);
    let b02 = vec4f(c00.z, c01.z, c02.z, c03.z);
    let b03 = vec4f(c00.w, c01.w, c02.w, c03.w);
    let c10 = right[column10 + step / 4u];
    let c11 = right[column11 + step / 4u];
    let c12 = right[column12 + step / 4u];
    let c13 = right[column13 + step / 4u];
    let b10 = vec4f(c10.x, c11.x, c12.x, c13.x);
    let b11 = vec4f(c10.y, c11.y, c12.y, c13.y);
    let b12 = vec4f(c10.z, c11.z, c12.z, c13.z);
    let b13 = vec4f(c10.w, c11.w, c12.w, c13.w);
    let row0 = quadBroadcast(a0, 0u);
    sum0_0 = add_steps(sum0_0, row0, b00, b01, b02, b03);
    sum0_1 = add_steps(sum0_1, row0, b10, b11, b12, b13);
    let row1 = quadBroadcast(a0, 1u);
    sum1_0 = add_steps(sum1_0, row1, b00, b01, b02, b03);
    sum1_1 = add_steps(sum1_1, row1, b10, b11, b12, b13);
    let row2 = quadBroadcast(a0, 2u);
    sum2_0 = add_steps(sum2_0, row2, b00, b01, b02, b03);
    sum2_1 = add_steps(sum2_1, row2, b10, b11, b12, b13);
    let row3 = quadBroadcast(a0, 3u);
    sum3_0 = add_steps(sum3_0, row3, b00, b01, b02, b03);
    sum3_1 = add_steps(sum3_1, row3, b10, b11, b12, b13);
    let row4 = quadBroadcast(a1, 0u);
    sum4_0 = add_steps(sum4_0, row4, b00, b01, b02, b03);
    sum4_1 = add_steps(sum4_1, row4, b10, b11, b12, b13);
    let row5 = quadBroadcast(a1, 1u);
    sum5_0 = add_steps(sum5_0, row5, b00, b01, b02, b03);
    sum5_1 = add_steps(sum5_1, row5, b10, b11, b12, b13);
    let row6 = quadBroadcast(a1, 2u);
    sum6_0 = add_steps(sum6_0, row6, b00, b01, b02, b03);
    sum6_1 = add_steps(sum6_1, row6, b10, b11, b12, b13);
    let row7 = quadBroadcast(a1, 3u);
    sum7_0 = add_steps(sum7_0, row7, b00, b01, b02, b03);
    sum7_1 = add_steps(sum7_1, row7, b10, b11, b12, b13);
    let row8 = quadBroadcast(a2, 0u);
    sum8_0 = add_steps(sum8_0, row8, b00, b01, b02, b03);
    sum8_1 = add_steps(sum8_1, row8, b10, b11, b12, b13);
    let row9 = quadBroadcast(a2, 1u);
    sum9_0 = add_steps(sum9_0, row9, b00, b01, b02, b03);
    sum9_1 = add_steps(sum9_1, row9, b10, b11, b12, b13);
    let row10 = quadBroadcast(a2, 2u);
    sum10_0 = add_steps(sum10_0, row10, b00, b01, b02, b03);
    sum10_1 = add_steps(sum10_1, row10, b10, b11, b12, b13);
    let row11 = quadBroadcast(a2, 3u);
    sum11_0 = add_steps(sum11_0, row11, b00, b01, b02, b03);
    sum11_1 = add_steps(sum11_1, row11, b10, b11, b12, b13);
    let row12 = quadBroadcast(a3, 0u);
    sum12_0 = add_steps(sum12_0, row12, b00, b01, b02, b03);
    sum12_1 = add_steps(sum12_1, row12, b10, b11, b12, b13);
    let row13 = quadBroadcast(a3, 1u);
    sum13_0 = add_steps(sum13_0, row13, b00, b01, b02, b03);
    sum13_1 = add_steps(sum13_1, row13, b10, b11, b12, b13);
    let row14 = quadBroadcast(a3, 2u);
    sum14_0 = add_steps(sum14_0, row14, b00, b01, b02, b03);
    sum14_1 = add_steps(sum14_1, row14, b10, b11, b12, b13);
    let row15 = quadBroadcast(a3, 3u);
    sum15_0 = add_steps(sum15_0, row15, b00, b01, b02, b03);
    sum15_1 = add_steps(sum15_1, row15, b10, b11, b12, b13);
  }
  var sums = array<vec4f, 32>(
    sum0_0, sum0_1,
    sum1_0, sum1_1,
    sum2_0, sum2_1,
    sum3_0, sum3_1,
    sum4_0, sum4_1,
    sum5_0, sum5_1,
    sum6_0, sum6_1,
    sum7_0, sum7_1,
    sum8_0, sum8_1,
    sum9_0, sum9_1,
    sum10_0, sum10_1,
    sum11_0, sum11_1,
    sum12_0, sum12_1,
    sum13_0, sum13_1,
    sum14_0, sum14_1,
    sum15_0, sum15_1,
  );
  store_all(place, &sums);
}

@compute @workgroup_size(workgroup_size)
fn tn(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let place = place_of(global.y * groups.x * workgroup_size + global.x);
  let lane = invocation % 4u;
  let rows0 = left_lines(place.x);
  let rows1 = left_lines(place.x + 4u);
  let rows2 = left_lines(place.x + 8u);
  let rows3 = left_lines(place.x + 12u);
  let columns0 = right_lines(place.y);
  let columns1 = right_lines(place.z);
  let right_stride = args.columns / 4u;
  let left_stride = args.rows / 4u;
  var sum0_0 = vec4f(); var sum0_1 = vec4f();
  var sum1_0 = vec4f(); var sum1_1 = vec4f();
  var sum2_0 = vec4f(); var sum2_1 = vec4f();
  var sum3_0 = vec4f(); var sum3_1 = vec4f();
  var sum4_0 = vec4f(); var sum4_1 = vec4f();
  var sum5_0 = vec4f(); var sum5_1 = vec4f();
  var sum6_0 = vec4f(); var sum6_1 = vec4f();
  var sum7_0 = vec4f(); var sum7_1 = vec4f();
  var sum8_0 = vec4f(); var sum8_1 = vec4f();
  var sum9_0 = vec4f(); var sum9_1 = vec4f();
  var sum10_0 = vec4f(); var sum10_1 = vec4f();
  var sum11_0 = vec4f(); var sum11_1 = vec4f();
  var sum12_0 = vec4f(); var sum12_1 = vec4f();
  var sum13_0 = vec4f(); var sum13_1 = vec4f();
  var sum14_0 = vec4f(); var sum14_1 = vec4f();
  var sum15_0 = vec4f(); var sum15_1 = vec4f();
  for (var step = 0u; step < args.inner; step += 4u) {
    let a0 = left[rows0 + (step + lane) * left_stride];
    let a1 = left[rows1 + (step + lane) * left_stride];
    let a2 = left[rows2 + (step + lane) * left_stride];
    let a3 = left[rows3 + (step + lane) * left_stride];
    let b00 = right[columns0 + step * right_stride];
    let b01 = right[columns0 + (step + 1u) * right_stride];
    let b02 = right[columns0 + (step + 2u) * right_stride];
    let b03 = right[columns0 + (step + 3u) * right_stride];
    let b10 = right[columns1 + step * right_stride];
    let b11 = right[columns1 + (step + 1u) * right_stride];
    let b12 = right[columns1 + (step + 2u) * right_stride];
    let b13 = right[columns1 + (step + 3u) * right_stride];
    let row0 = vec4f(quadBroadcast(a0.x, 0u), quadBroadcast(a0.x, 1u), quadBroadcast(a0.x, 2u), quadBroadcast(a0.x, 3u));
    sum0_0 = add_steps(sum0_0, row0, b00, b01, b02, b03);
    sum0_1 = add_steps(sum0_1, row0, b10, b11, b12, b13);
    let row1 = vec4f(quadBroadcast(a0.y, 0u), quadBroadcast(a0.y, 1u), quadBroadcast(a0.y, 2u), quadBroadcast(a0.y, 3u));
    sum1_0 = add_steps(sum1_0, row1, b00, b01, b02, b03);
    sum1_1 = add_steps(sum1_1, row1, b10, b11, b12, b13);
    let row2 = vec4f(quadBroadcast(a0.z, 0u), quadBroadcast(a0.z, 1u), quadBroadcast(a0.z, 2u), quadBroadcast(a0.z, 3u));
    sum2_0 = add_steps(sum2_0, row2, b00, b01, b02, b03);
    sum2_1 = add_steps(sum2_1, row2, b10, b11, b12, b13);
    let row3 = vec4f(quadBroadcast(a0.w, 0u), quadBroadcast(a0.w, 1u), quadBroadcast(a0.w, 2u), quadBroadcast(a0.w, 3u));
    sum3_0 = add_steps(sum3_0, row3, b00, b01, b02, b03);
    sum3_1 = add_steps(sum3_1, row3, b10, b11, b12, b13);
    let row4 = vec4f(quadBroadcast(a1.x, 0u), quadBroadcast(a1.x, 1u), quadBroadcast(a1.x, 2u), quadBroadcast(a1.x, 3u));
    sum4_0 = add_steps(sum4_0, row4, b00, b01, b02, b03);
    sum4_1 = add_steps(sum4_1, row4, b10, b11, b12, b13);
    let row5 = vec4f(quadBroadcast(a1.y, 0u), quadBroadcast(a1.y, 1u), quadBroadcast(a1.y, 2u), quadBroadcast(a1.y, 3u));
    sum5_0 = add_steps(sum5_0, row5, b00, b01, b02, b03);
    sum5_1 = add_steps(sum5_1, row5, b10, b11, b12, b13);
    let row6 = vec4f(quadBroadcast(a1.z, 0u), quadBroadcast(a1.z, 1u), quadBroadcast(a1.z, 2u), quadBroadcast(a1.z, 3u));
    sum6_0 = add_steps(sum6_0, row6, b00, b01, b02, b03);
    sum6_1 = add_steps(sum6_1, row6, b10, b11, b12, b13);
    let row7 = vec4f(quadBroadcast(a1.w, 0u), quadBroadcast(a1.w, 1u), quadBroadcast(a1.w, 2u), quadBroadcast(a1.w, 3u));
    sum7_0 = add_steps(sum7_0, row7, b00, b01, b02, b03);
    sum7_1 = add_steps(sum7_1, row7, b10, b11, b12, b13);
    let row8 = vec4f(quadBroadcast(a2.x, 0u), quadBroadcast(a2.x, 1u), quadBroadcast(a2.x, 2u), quadBroadcast(a2.x, 3u));
    sum8_0 = add_steps(sum8_0, row8, b00, b01, b02, b03);
    sum8_1 = add_steps(sum8_1, row8, b10, b11, b12, b13);
    let row9 = vec4f(quadBroadcast(a2.y, 0u), quadBroadcast(a2.y, 1u), quadBroadcast(a2.y, 2u), quadBroadcast(a2.y, 3u));
    sum9_0 = add_steps(sum9_0, row9, b00, b01, b02, b03);
    sum9_1 = add_steps(sum9_1, row9, b10, b11, b12, b13);
    let row10 = vec4f(quadBroadcast(a2.z, 0u), quadBroadcast(a2.z, 1u), quadBroadcast(a2.z, 2u), quadBroadcast(a2.z, 3u));
    sum10_0 = add_steps(sum10_0, row10, b00, b01, b02, b03);
    sum10_1 = add_steps(sum10_1, row10, b10, b11, b12, b13);
    let row11 = vec4f(quadBroadcast(a2.w, 0u), quadBroadcast(a2.w, 1u), quadBroadcast(a2.w, 2u), quadBroadcast(a2.w, 3u));
    sum11_0 = add_steps(sum11_0, row11, b00, b01, b02, b03);
    sum11_1 = add_steps(sum11_1, row11, b10, b11, b12, b13);
    let row12 = vec4f(quadBroadcast(a3.x, 0u), quadBroadcast(a3.x, 1u), quadBroadcast(a3.x, 2u), quadBroadcast(a3.x, 3u));
    sum12_0 = add_steps(sum12_0, row12, b00, b01, b02, b03);
    sum12_1 = add_steps(sum12_1, row12, b10, b11, b12, b13);
    let row13 = vec4f(quadBroadcast(a3.y, 0u), quadBroadcast(a3.y, 1u), quadBroadcast(a3.y, 2u), quadBroadcast(a3.y, 3u));
    sum13_0 = add_steps(sum13_0, row13, b00, b01, b02, b03);
    sum13_1 = add_steps(sum13_1, row13, b10, b11, b12, b13);
    let row14 = vec4f(quadBroadcast(a3.z, 0u), quadBroadcast(a3.z, 1u), quadBroadcast(a3.z, 2u), quadBroadcast(a3.z, 3u));
    sum14_0 = add_steps(sum14_0, row14, b00, b01, b02, b03);
    sum14_1 = add_steps(sum14_1, row14, b10, b11, b12, b13);
    let row15 = vec4f(quadBroadcast(a3.w, 0u), quadBroadcast(a3.w, 1u), quadBroadcast(a3.w, 2u), quadBroadcast(a3.w, 3u));
    sum15_0 = add_steps(sum15_0, row15, b00, b01, b02, b03);
    sum15_1 = add_steps(sum15_1, row15, b10, b11, b12, b13);
  }
  var sums = array<vec4f, 32>(
    sum0_0, sum0_1,
    sum1_0, sum1_1,
    sum2_0, sum2_1,
    sum3_0, sum3_1,
    sum4_0, sum4_1,
    sum5_0, sum5_1,
    sum6_0, sum6_1,
    sum7_0, sum7_1,
    sum8_0, sum8_1,
    sum9_0, sum9_1,
    sum10_0, sum10_1,
    sum11_0, sum11_1,
    sum12_0, sum12_1,
    sum13_0, sum13_1,
    sum14_0, sum14_1,
    sum15_0, sum15_1,
  );
  store_all(place, &sums);
}
