// Sums of a vector in a fixed order: part p sums elements p, p + parts, p + 2 parts, ... One invocation a part. `sum`
// adds values, `sum_of_squares` their squares; `finish` is one workgroup that adds up the parts.

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
  let start = args.input_offset;
  let parts = args.parts;
  var sums = vec4f();
  var index = global.x;
  for (; index + 3u * parts < args.count; index += 4u * parts) {
    let place = start + index;
    sums += vec4f(input[place], input[place + parts], input[place + 2u * parts], input[place + 3u * parts]);
  }
  for (; index < args.count; index += parts) {
    sums.x += input[start + index];
  }
  output[args.output_offset + global.x] = (sums.x + sums.y) + (sums.z + sums.w);
}

@compute @workgroup_size(workgroup_size)
fn sum_of_squares(@builtin(global_invocation_id) global: vec3u) {
  if (global.x >= args.parts) {
    return;
  }
  let start = args.input_offset;
  let parts = args.parts;
  var sums = vec4f();
  var index = global.x;
  for (; index + 3u * parts < args.count; index += 4u * parts) {
    let place = start + index;
    let values = vec4f(input[place], input[place + parts], input[place + 2u * parts], input[place + 3u * parts]);
    sums = fma(values, values, sums);
  }
  for (; index < args.count; index += parts) {
    let value = input[start + index];
    sums.x = fma(value, value, sums.x);
  }
  output[args.output_offset + global.x] = (sums.x + sums.y) + (sums.z + sums.w);
}

var<workgroup> partial: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var result = 0.0;
  for (var index = lane; index < args.count; index += workgroup_size) {
    result += input[args.input_offset + index];
  }
  partial[lane] = result;
  workgroupBarrier();
  if (lane > 0u) {
    return;
  }
  for (var other = 1u; other < workgroup_size; other++) {
    result += partial[other];
  }
  output[args.output_offset] = result;
}
