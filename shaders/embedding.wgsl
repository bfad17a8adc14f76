// Rows of a table by token: output[row] = table[tokens[row]]. One invocation an element. A token outside the
// vocabulary gives zeros.

override workgroup_size: u32 = 64;

struct Arguments {
  tokens_offset: u32,
  table_offset: u32,
  output_offset: u32,
  rows: u32,
  width: u32,
  vocabulary: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.rows * args.width) {
    return;
  }
  let token = tokens[args.tokens_offset + index / args.width];
  var value = 0.0;
  if (token < args.vocabulary) {
    value = table[args.table_offset + token * args.width + index % args.width];
  }
  output[args.output_offset + index] = value;
}
