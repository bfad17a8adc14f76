// Sums of a vector in a fixed order: part p sums elements p, p + parts, p + 2 parts, ... One invocation a part. `sum`
// adds values, `sum_of_squares` their squares.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  output_offset: u32,
  count: u32,
  parts: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn sum(@builtin(global_invocation_id) global: vec3u) {
  if (global.x >= args.parts) {
    return;
  }
  var result = 0.0;
  for (var index = global.x; index < args.count; index += args.parts) {
    result += input[args.input_offset + index];
  }
  output[args.output_offset + global.x] = result;
}

@compute @workgroup_size(workgroup_size)
fn sum_of_squares(@builtin(global_invocation_id) global: vec3u) {
  if (global.x >= args.parts) {
    return;
  }
  var result = 0.0;
  for (var index = global.x; index < args.count; index += args.parts) {
    let value = input[args.input_offset + index];
    result = fma(value, value, result);
  }
  output[args.output_offset + global.x] = result;
}
