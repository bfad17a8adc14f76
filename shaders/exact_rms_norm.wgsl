// RMSNorm of integers: output = gain * input / rms, where a gain of 64 is 1 and an output of 32 is one rms, held to a byte.
// Each row is shifted right until it fits 10 bits; the root is the integer square root of 256 times the mean square, so it
// has four binary places. Quotients round half away from zero. One invocation a row.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  gain_offset: u32,
  output_offset: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<i32>;
@group(0) @binding(2) var<storage, read> gain: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<i32>;

// The largest whole number whose square is at most x: Newton's iteration from above, which falls until it is there.
fn integer_root(x: u32) -> u32 {
  if (x == 0u) {
    return 0u;
  }
  var root = 1u << ((33u - countLeadingZeros(x)) / 2u);
  for (var step = 0u; step < 20u; step++) {
    let next = (root + x / root) / 2u;
    if (next >= root) {
      break;
    }
    root = next;
  }
  return root;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = global.y * groups.x * workgroup_size + global.x;
  if (row >= args.rows) {
    return;
  }
  let start = args.input_offset + row * args.width;
  var largest = 0u;
  for (var column = 0u; column < args.width; column++) {
    largest = max(largest, u32(abs(input[start + column])));
  }
  var shift = 0u;
  while ((largest >> shift) > 1023u) {
    shift++;
  }
  var sum = 0u;
  for (var column = 0u; column < args.width; column++) {
    let value = input[start + column] >> shift;
    sum += u32(value * value);
  }
  let root = max(1u, integer_root((sum / args.width) << 8u));
  for (var column = 0u; column < args.width; column++) {
    let value = (input[start + column] >> shift) * gain[args.gain_offset + column] * 8;
    let quotient = i32((u32(abs(value)) * 2u + root) / (2u * root));
    output[args.output_offset + row * args.width + column] = clamp(select(quotient, -quotient, value < 0), -127, 127);
  }
}
