// `main`: output row r = table row tokens[r]. `gradient`: table row t = sum of the rows r of input with tokens[r] = t, which as
// integers add up to equal bits in any order. One invocation an element of the output.

override workgroup_size: u32 = 64;

struct Arguments {
  tokens_offset: u32,
  input_offset: u32,
  output_offset: u32,
  rows: u32,
  width: u32,
  vocabulary: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> tokens: array<i32>;
@group(0) @binding(2) var<storage, read> input: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<i32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.width) {
    return;
  }
  let token = u32(tokens[args.tokens_offset + index / args.width]);
  output[args.output_offset + index] = input[args.input_offset + token * args.width + index % args.width];
}

@compute @workgroup_size(workgroup_size)
fn gradient(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.vocabulary * args.width) {
    return;
  }
  let token = i32(index / args.width);
  var sum = 0i;
  for (var row = 0u; row < args.rows; row++) {
    if (tokens[args.tokens_offset + row] == token) {
      sum += input[args.input_offset + row * args.width + index % args.width];
    }
  }
  output[args.output_offset + index] = sum;
}
