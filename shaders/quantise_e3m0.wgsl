// Four bits a number, sign and three of exponent (see quantise-e3m0.ts): eight codes in each word, and of each block the bits of
// its largest magnitude, or of NaN where there is NaN or infinity. In whole numbers throughout. `main`: an invocation a
// block. `grouped`: a workgroup a block.

override workgroup_size: u32 = 64;

struct Arguments {
  values_offset: u32,
  codes_offset: u32,
  largest_offset: u32,
  count: u32,
  block: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> largest: array<u32>;

var<workgroup> largest_of_all: atomic<u32>;

// Below 2^-118 the smallest magnitude would be subnormal: such a block is one of zeros.
fn is_usable(most: u32) -> bool {
  return most >= 0x04800000u && most < 0x7f800000u;
}

// Code 7 - k stands for 2^-k of the largest. Between 2^-k and 2^-k-1 the middle, 3/4 of 2^-k, goes up.
fn code(value: u32, most: u32) -> u32 {
  let magnitude = value & 0x7fffffffu;
  // Half of the smallest magnitude is the least that is not zero.
  if (magnitude < most - (7u << 23u)) {
    return 0u;
  }
  // Four times the middle's mantissa, in 25 bits and normal again.
  var middle = 3u * ((most & 0x7fffffu) | 0x800000u);
  var exponent = most >> 23u;
  if (middle < 0x2000000u) {
    middle *= 2u;
    exponent -= 1u;
  }
  let mantissa = 4u * ((magnitude & 0x7fffffu) | 0x800000u);
  let needed = (magnitude >> 23u) + select(1u, 0u, mantissa < middle);
  let apart = min(6u, exponent + 1u - min(needed, exponent + 1u));
  return ((value >> 31u) << 3u) | (7u - apart);
}

fn word_of(word: u32, most: u32) -> u32 {
  var packed = 0u;
  for (var nibble = 0u; nibble < 8u; nibble++) {
    let element = word * 8u + nibble;
    if (element < args.count) {
      packed |= code(bitcast<u32>(values[args.values_offset + element]), most) << (4u * nibble);
    }
  }
  return packed;
}

fn store_largest(own: u32, most: u32) {
  var bits = select(0u, most, is_usable(most));
  if (most >= 0x7f800000u) {
    bits = 0x7fc00000u;
  }
  largest[args.largest_offset + own] = bits;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let own = global.y * groups.x * workgroup_size + global.x;
  let first = own * args.block;
  if (first >= args.count) {
    return;
  }
  let end = min(args.count, first + args.block);
  var most = 0u;
  for (var element = first; element < end; element++) {
    most = max(most, bitcast<u32>(values[args.values_offset + element]) & 0x7fffffffu);
  }
  store_largest(own, most);
  for (var word = first / 8u; word * 8u < end; word++) {
    codes[args.codes_offset + word] = select(0u, word_of(word, most), is_usable(most));
  }
}

@compute @workgroup_size(workgroup_size)
fn grouped(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = group.y * groups.x + group.x;
  let first = own * args.block;
  if (first >= args.count) {
    return;
  }
  let end = min(args.count, first + args.block);
  var most_here = 0u;
  for (var element = first + lane; element < end; element += workgroup_size) {
    most_here = max(most_here, bitcast<u32>(values[args.values_offset + element]) & 0x7fffffffu);
  }
  atomicMax(&largest_of_all, most_here);
  workgroupBarrier();
  let most = atomicLoad(&largest_of_all);
  if (lane == 0u) {
    store_largest(own, most);
  }
  for (var word = first / 8u + lane; word * 8u < end; word += workgroup_size) {
    codes[args.codes_offset + word] = select(0u, word_of(word, most), is_usable(most));
  }
}
