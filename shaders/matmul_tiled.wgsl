// output = activation(left x right + bias) + residual, or that added to output: a workgroup makes 8 * threads_down rows of
// 8 * threads_across columns through its shared memory, an invocation 8 by 8 of them. Strides tell how the operands are
// stored, so one shader serves NN, NT and TN; a line is a row of left or a column of right, and a step is an index of the
// sum. Steps are summed in ascending order, as in `matmul.wgsl`.

override threads_down: u32 = 8;
override threads_across: u32 = 8;
// How 4 lines of 4 steps are read: 0 one by one, 1 four steps at once, 2 four lines at once; of right also, as it is stored
// in halves, two a word: 3 one by one, 4 four steps at once.
override left_way: u32 = 0;
override right_way: u32 = 0;

struct Arguments {
  left_offset: u32,
  right_offset: u32,
  left_wide_offset: u32,
  right_wide_offset: u32,
  bias_offset: u32,
  residual_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  inner: u32,
  left_line_stride: u32,
  left_step_stride: u32,
  right_line_stride: u32,
  right_step_stride: u32,
  has_bias: u32,
  activation: u32,
  has_residual: u32,
  accumulate: u32,
  output_stride: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<u32>;
// The same buffers by four elements; offsets are multiples of four where these are read.
@group(0) @binding(3) var<storage, read> left_wide: array<vec4f>;
@group(0) @binding(4) var<storage, read> right_wide: array<vec4f>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;

fn right_at(place: u32) -> f32 {
  if (right_way < 3u) {
    return bitcast<f32>(right[place]);
  }
  let pair = unpack2x16float(right[place / 2u]);
  return select(pair.x, pair.y, place % 2u == 1u);
}

// Where four lines begin. Beyond the edge the last line is read again, so that inner loops have no branch; nothing is
// stored for it.
fn left_lines(line: u32) -> vec4u {
  if (left_way == 2u) {
    return vec4u(args.left_offset + min(line, args.rows - 4u)) + vec4u(0u, 1u, 2u, 3u);
  }
  return args.left_offset + min(vec4u(line) + vec4u(0u, 1u, 2u, 3u), vec4u(args.rows - 1u)) * args.left_line_stride;
}

fn right_lines(line: u32) -> vec4u {
  if (right_way == 2u) {
    return vec4u(args.right_offset + min(line, args.columns - 4u)) + vec4u(0u, 1u, 2u, 3u);
  }
  let own = min(vec4u(line) + vec4u(0u, 1u, 2u, 3u), vec4u(args.columns - 1u));
  return args.right_offset + own * args.right_line_stride;
}

fn left_steps(at: u32) -> vec4f {
  if (left_way == 1u) {
    return left_wide[at / 4u];
  }
  let next = args.left_step_stride;
  return vec4f(left[at], left[at + next], left[at + 2u * next], left[at + 3u * next]);
}

fn right_steps(at: u32) -> vec4f {
  if (right_way == 1u) {
    return right_wide[at / 4u];
  }
  if (right_way == 4u) {
    return vec4f(unpack2x16float(right[at / 2u]), unpack2x16float(right[at / 2u + 1u]));
  }
  let next = args.right_step_stride;
  return vec4f(right_at(at), right_at(at + next), right_at(at + 2u * next), right_at(at + 3u * next));
}

// Four steps of the lines that begin at `lines`: each line a column of the matrix, with its steps.
fn left_block(lines: vec4u, step: u32) -> mat4x4f {
  if (left_way == 2u) {
    let next = args.left_step_stride / 4u;
    let at = lines.x / 4u + step * next;
    return transpose(mat4x4f(
      left_wide[at], left_wide[at + next], left_wide[at + 2u * next], left_wide[at + 3u * next],
    ));
  }
  let at = lines + step * args.left_step_stride;
  return mat4x4f(left_steps(at.x), left_steps(at.y), left_steps(at.z), left_steps(at.w));
}

// The same of right, but each step a column, with its lines.
fn right_block(lines: vec4u, step: u32) -> mat4x4f {
  if (right_way == 2u) {
    let next = args.right_step_stride / 4u;
    let at = lines.x / 4u + step * next;
    return mat4x4f(right_wide[at], right_wide[at + next], right_wide[at + 2u * next], right_wide[at + 3u * next]);
  }
  let at = lines + step * args.right_step_stride;
  return transpose(mat4x4f(right_steps(at.x), right_steps(at.y), right_steps(at.z), right_steps(at.w)));
}

// The same for the last steps, fewer than four; zeros stand for the others.
fn left_rest(lines: vec4u, step: u32) -> mat4x4f {
  var block = mat4x4f();
  for (var index = 0u; step + index < args.inner; index++) {
    let at = lines + (step + index) * args.left_step_stride;
    for (var own = 0u; own < 4u; own++) {
      block[own][index] = left[at[own]];
    }
  }
  return block;
}

fn right_rest(lines: vec4u, step: u32) -> mat4x4f {
  var block = mat4x4f();
  for (var index = 0u; step + index < args.inner; index++) {
    let at = lines + (step + index) * args.right_step_stride;
    block[index] = vec4f(right_at(at.x), right_at(at.y), right_at(at.z), right_at(at.w));
  }
  return block;
}

// The sum of four rows (columns of the matrix), each with four columns of the output, and one more step of it.
fn add_step(sum: mat4x4f, lines: vec4f, columns: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(lines.x), columns, sum[0]),
    fma(vec4f(lines.y), columns, sum[1]),
    fma(vec4f(lines.z), columns, sum[2]),
    fma(vec4f(lines.w), columns, sum[3]),
  );
}

fn store(row: u32, column: u32, sum: f32) {
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

// Steps that are in the workgroup's memory at a time, four lines of one step to a vector. One vector more than a step
// needs lies between steps, so that the writes of neighbours go to different banks.
const slice = 16u;
var<workgroup> left_tile: array<vec4f, slice * (2u * threads_down + 1u)>;
var<workgroup> right_tile: array<vec4f, slice * (2u * threads_across + 1u)>;

// Which 4 lines and which 4 steps of a slice block `id` holds: neighbours read on where memory goes on.
fn block_place(id: u32, lines: u32, by_lines: bool) -> vec2u {
  if (by_lines) {
    return vec2u(id % lines, id / lines);
  }
  return vec2u(id / 4u, id % 4u);
}

// Block `id` of the slice that begins at `step`, blocks of left first; each column a step.
fn fetch(id: u32, first_row: u32, first_column: u32, step: u32) -> mat4x4f {
  if (id < 8u * threads_down) {
    let place = block_place(id, 2u * threads_down, left_way == 2u);
    let own = step + 4u * place.y;
    let lines = left_lines(first_row + 4u * place.x);
    if (own + 4u <= args.inner) {
      return transpose(left_block(lines, own));
    }
    return transpose(left_rest(lines, own));
  }
  let place = block_place(id - 8u * threads_down, 2u * threads_across, right_way == 2u);
  let own = step + 4u * place.y;
  let lines = right_lines(first_column + 4u * place.x);
  if (own + 4u <= args.inner) {
    return right_block(lines, own);
  }
  return right_rest(lines, own);
}

fn put(id: u32, block: mat4x4f) {
  if (id < 8u * threads_down) {
    let place = block_place(id, 2u * threads_down, left_way == 2u);
    let stride = 2u * threads_down + 1u;
    let at = 4u * place.y * stride + place.x;
    left_tile[at] = block[0];
    left_tile[at + stride] = block[1];
    left_tile[at + 2u * stride] = block[2];
    left_tile[at + 3u * stride] = block[3];
    return;
  }
  let place = block_place(id - 8u * threads_down, 2u * threads_across, right_way == 2u);
  let stride = 2u * threads_across + 1u;
  let at = 4u * place.y * stride + place.x;
  right_tile[at] = block[0];
  right_tile[at + stride] = block[1];
  right_tile[at + 2u * stride] = block[2];
  right_tile[at + 3u * stride] = block[3];
}

@compute @workgroup_size(threads_across, threads_down)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let tiles_across = (args.columns + 8u * threads_across - 1u) / (8u * threads_across);
  let tile = group.y * groups.x + group.x;
  let first_row = tile / tiles_across * 8u * threads_down;
  let first_column = tile % tiles_across * 8u * threads_across;
  if (first_row >= args.rows) {
    return;
  }
  let across = local % threads_across;
  let down = local / threads_across;
  let threads = threads_down * threads_across;
  var sum00 = mat4x4f();
  var sum01 = mat4x4f();
  var sum10 = mat4x4f();
  var sum11 = mat4x4f();
  for (var start = 0u; start < args.inner; start += slice) {
    for (var id = local; id < 8u * (threads_down + threads_across); id += threads) {
      put(id, fetch(id, first_row, first_column, start));
    }
    workgroupBarrier();
    for (var step = 0u; step < slice; step++) {
      let row_at = step * (2u * threads_down + 1u) + down;
      let column_at = step * (2u * threads_across + 1u) + across;
      let a0 = left_tile[row_at];
      let a1 = left_tile[row_at + threads_down];
      let b0 = right_tile[column_at];
      let b1 = right_tile[column_at + threads_across];
      sum00 = add_step(sum00, a0, b0);
      sum01 = add_step(sum01, a0, b1);
      sum10 = add_step(sum10, a1, b0);
      sum11 = add_step(sum11, a1, b1);
    }
    workgroupBarrier();
  }
  let row = first_row + 4u * down;
  let column = first_column + 4u * across;
  var sums = array<vec4f, 16>(
    sum00[0], sum00[1], sum00[2], sum00[3],
    sum01[0], sum01[1], sum01[2], sum01[3],
    sum10[0], sum10[1], sum10[2], sum10[3],
    sum11[0], sum11[1], sum11[2], sum11[3],
  );
  for (var index = 0u; index < 8u && row < args.rows; index++) {
    let own_row = row + index % 4u + index / 4u * 4u * threads_down;
    let at = index / 4u * 8u + index % 4u;
    store_four(own_row, column, sums[at]);
    store_four(own_row, column + 4u * threads_across, sums[at + 4u]);
  }
}
