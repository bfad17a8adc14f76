// values = sign * 2^(code - 7) * the block's largest, in whole numbers: the exponent is moved. A block whose largest is NaN is NaN.
// One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  codes_offset: u32,
  largest_offset: u32,
  values_offset: u32,
  count: u32,
  block: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> largest: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  let code = (codes[args.codes_offset + index / 8u] >> (4u * (index % 8u))) & 15u;
  let most = largest[args.largest_offset + index / args.block];
  var bits = 0u;
  if (most >= 0x7f800000u) {
    bits = 0x7fc00000u;
  } else if ((code & 7u) != 0u && most >= 0x04800000u) {
    bits = (most - ((7u - (code & 7u)) << 23u)) | ((code >> 3u) << 31u);
  }
  values[args.values_offset + index] = bits;
}
