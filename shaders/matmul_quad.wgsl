// The product as in `matmul.wgsl` for adapters on which loads cost most, software ones above all: an invocation makes 16 or 32
// rows of two times 4 columns, and four neighbours, who make the same rows, load left's elements for one another. Parts say how
// operands lie, which are read by four elements: offsets, columns of NN and TN, inner, and TN's rows are multiples of four.

// Small, so that small products still keep every core busy; nobody shares memory.
override workgroup_size: u32 = 16;
override is_tall: bool = false;

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
  output_stride: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;

fn store_block(row: u32, column: u32, sums: mat4x4f) {
  store_four(row, column, sums[0]);
  store_four(row + 1u, column, sums[1]);
  store_four(row + 2u, column, sums[2]);
  store_four(row + 3u, column, sums[3]);
}

// What stands around the product. Software adapters run both sides of a branch and skip only loops.
fn finish_four(row: u32, column: u32, sums: vec4f) {
  var values = sums;
  let place = row * args.output_stride + column;
  for (var once = 0u; once < args.has_bias; once++) {
    values += bias_at(column);
  }
  for (var once = 0u; once < min(args.activation, 1u); once++) {
    values = vec4f(activated(values.x), activated(values.y), activated(values.z), activated(values.w));
  }
  for (var once = 0u; once < args.has_residual; once++) {
    values += residual_at(place);
  }
  for (var once = 0u; once < args.accumulate; once++) {
    values += output_at(place);
  }
  store_four(row, column, values);
}

// Sixteen rows of both blocks of columns.
fn finish_rows(row: u32, column0: u32, column1: u32, all: ptr<function, array<mat4x4f, 8>>) {
  for (var index = 0u; index < min(16u, args.rows - min(row, args.rows)); index++) {
    finish_four(row + index, column0, (*all)[index / 4u * 2u][index % 4u]);
    finish_four(row + index, column1, (*all)[index / 4u * 2u + 1u][index % 4u]);
  }
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let lane = invocation % 4u;
  // Four neighbours have the same rows. The two blocks of columns lie half the width apart; who is beyond the edges works
  // along, as neighbours need it, and stores nothing.
  let across = (args.columns + 31u) / 32u * 4u;
  let row = index / across * select(16u, 32u, is_tall);
  let column0 = index % across * 4u;
  let column1 = column0 + across * 4u;
  let right0 = right_starts(column0);
  let right1 = right_starts(column1);
  let left0 = left_start(row, lane);
  let left1 = left_start(row + 4u, lane);
  let left2 = left_start(row + 8u, lane);
  let left3 = left_start(row + 12u, lane);
  let left4 = left_start(row + 16u, lane);
  let left5 = left_start(row + 20u, lane);
  let left6 = left_start(row + 24u, lane);
  let left7 = left_start(row + 28u, lane);
  var sum00 = mat4x4f();
  var sum01 = mat4x4f();
  var sum10 = mat4x4f();
  var sum11 = mat4x4f();
  var sum20 = mat4x4f();
  var sum21 = mat4x4f();
  var sum30 = mat4x4f();
  var sum31 = mat4x4f();
  var sum40 = mat4x4f();
  var sum41 = mat4x4f();
  var sum50 = mat4x4f();
  var sum51 = mat4x4f();
  var sum60 = mat4x4f();
  var sum61 = mat4x4f();
  var sum70 = mat4x4f();
  var sum71 = mat4x4f();
  for (var step = 0u; step < args.inner; step += 4u) {
    let steps0 = right_block(right0, step);
    let steps1 = right_block(right1, step);
    let rows0 = left_block(left0, step, lane);
    sum00 = add_block(sum00, rows0, steps0);
    sum01 = add_block(sum01, rows0, steps1);
    let rows1 = left_block(left1, step, lane);
    sum10 = add_block(sum10, rows1, steps0);
    sum11 = add_block(sum11, rows1, steps1);
    let rows2 = left_block(left2, step, lane);
    sum20 = add_block(sum20, rows2, steps0);
    sum21 = add_block(sum21, rows2, steps1);
    let rows3 = left_block(left3, step, lane);
    sum30 = add_block(sum30, rows3, steps0);
    sum31 = add_block(sum31, rows3, steps1);
    if (is_tall) {
      let rows4 = left_block(left4, step, lane);
      sum40 = add_block(sum40, rows4, steps0);
      sum41 = add_block(sum41, rows4, steps1);
      let rows5 = left_block(left5, step, lane);
      sum50 = add_block(sum50, rows5, steps0);
      sum51 = add_block(sum51, rows5, steps1);
      let rows6 = left_block(left6, step, lane);
      sum60 = add_block(sum60, rows6, steps0);
      sum61 = add_block(sum61, rows6, steps1);
      let rows7 = left_block(left7, step, lane);
      sum70 = add_block(sum70, rows7, steps0);
      sum71 = add_block(sum71, rows7, steps1);
    }
  }
  let has_epilogue = args.has_bias + args.activation + args.has_residual + args.accumulate > 0u;
  if (!has_epilogue) {
    store_block(row, column0, sum00);
    store_block(row, column1, sum01);
    store_block(row + 4u, column0, sum10);
    store_block(row + 4u, column1, sum11);
    store_block(row + 8u, column0, sum20);
    store_block(row + 8u, column1, sum21);
    store_block(row + 12u, column0, sum30);
    store_block(row + 12u, column1, sum31);
    if (is_tall) {
      store_block(row + 16u, column0, sum40);
      store_block(row + 16u, column1, sum41);
      store_block(row + 20u, column0, sum50);
      store_block(row + 20u, column1, sum51);
      store_block(row + 24u, column0, sum60);
      store_block(row + 24u, column1, sum61);
      store_block(row + 28u, column0, sum70);
      store_block(row + 28u, column1, sum71);
    }
  }
  if (has_epilogue) {
    var upper = array<mat4x4f, 8>(sum00, sum01, sum10, sum11, sum20, sum21, sum30, sum31);
    finish_rows(row, column0, column1, &upper);
    if (is_tall) {
      var lower = array<mat4x4f, 8>(sum40, sum41, sum50, sum51, sum60, sum61, sum70, sum71);
      finish_rows(row + 16u, column0, column1, &lower);
    }
  }
}
