// Adds the rows of output_gradient to the table rows of their tokens. One invocation a row and column: the first row
// that holds a token gathers all later rows of that token in order, so no two invocations write one place and sums are
// fixed.

override workgroup_size: u32 = 64;

struct Arguments {
  tokens_offset: u32,
  output_gradient_offset: u32,
  table_gradient_offset: u32,
  rows: u32,
  width: u32,
  vocabulary: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> table_gradient: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.width) {
    return;
  }
  let row = index / args.width;
  let column = index % args.width;
  let token = tokens[args.tokens_offset + row];
  if (token >= args.vocabulary) {
    return;
  }
  for (var earlier = 0u; earlier < row; earlier++) {
    if (tokens[args.tokens_offset + earlier] == token) {
      return;
    }
  }
  var sum = 0.0;
  for (var later = row; later < args.rows; later++) {
    if (tokens[args.tokens_offset + later] == token) {
      sum += output_gradient[args.output_gradient_offset + later * args.width + column];
    }
  }
  table_gradient[args.table_gradient_offset + token * args.width + column] += sum;
}
