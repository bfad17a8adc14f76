// output = left x right (+ output) in i32, which wraps around: integer addition is associative, so every adapter gives equal
// bits in any order. Strides tell how the operands are stored. One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  left_offset: u32,
  right_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  inner: u32,
  left_row_stride: u32,
  left_inner_stride: u32,
  right_inner_stride: u32,
  right_column_stride: u32,
  output_row_stride: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> left: array<i32>;
@group(0) @binding(2) var<storage, read> right: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<i32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.columns) {
    return;
  }
  let row = index / args.columns;
  let column = index % args.columns;
  var left_at = args.left_offset + row * args.left_row_stride;
  var right_at = args.right_offset + column * args.right_column_stride;
  var sum = 0i;
  for (var step = 0u; step < args.inner; step++) {
    sum += left[left_at] * right[right_at];
    left_at += args.left_inner_stride;
    right_at += args.right_inner_stride;
  }
  let place = args.output_offset + row * args.output_row_stride + column;
  if (args.accumulate == 0u) {
    output[place] = sum;
  } else {
    output[place] += sum;
  }
}
