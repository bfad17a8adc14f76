// Adds the rows of output_gradient to the table rows of their tokens. One invocation a row and sixteen columns: the first
// row that holds a token gathers all later rows of that token in order, so no two invocations write one place and sums
// are fixed.

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

// Four elements of a row; beyond its end the last again, which `add` leaves out.
fn gradients(row: u32, column: u32) -> vec4f {
  let start = args.output_gradient_offset + row * args.width;
  let columns = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(args.width - 1u));
  return vec4f(
    output_gradient[start + columns.x],
    output_gradient[start + columns.y],
    output_gradient[start + columns.z],
    output_gradient[start + columns.w],
  );
}

fn add(token: u32, column: u32, values: vec4f) {
  let start = args.table_gradient_offset + token * args.width + column;
  for (var index = 0u; index < min(4u, args.width - min(column, args.width)); index++) {
    table_gradient[start + index] += values[index];
  }
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let blocks = (args.width + 15u) / 16u;
  if (index >= args.rows * blocks) {
    return;
  }
  let row = index / blocks;
  let column = index % blocks * 16u;
  let token = tokens[args.tokens_offset + row];
  if (token >= args.vocabulary) {
    return;
  }
  for (var earlier = 0u; earlier < row; earlier++) {
    if (tokens[args.tokens_offset + earlier] == token) {
      return;
    }
  }
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  // Looking for the next row is apart from gathering, as software adapters run what a branch leaves out.
  var later = row;
  while (later < args.rows) {
    sums0 += gradients(later, column);
    sums1 += gradients(later, column + 4u);
    sums2 += gradients(later, column + 8u);
    sums3 += gradients(later, column + 12u);
    later++;
    while (later < args.rows && tokens[args.tokens_offset + min(later, args.rows - 1u)] != token) {
      later++;
    }
  }
  add(token, column, sums0);
  add(token, column + 4u, sums1);
  add(token, column + 8u, sums2);
  add(token, column + 12u, sums3);
}
