// Blockwise int8 by the largest magnitude, in whole numbers throughout (see quantise-int8-truth.ts), four codes in each word. The
// scale's bits are written, because a block with NaN or infinity gets a scale of NaN. `main`: an invocation a block, for
// short blocks. `grouped`: a workgroup a block.

override workgroup_size: u32 = 64;

struct Arguments {
  values_offset: u32,
  codes_offset: u32,
  scales_offset: u32,
  rows: u32,
  inner: u32,
  words: u32,
  block: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<u32>;

var<workgroup> largest_of_all: atomic<u32>;

// The magnitude's bits, which order as the magnitude does, NaN last.
fn magnitude(place: u32) -> u32 {
  return bitcast<u32>(values[place]) & 0x7fffffffu;
}

// 127 |value| / largest, rounded to the nearest, halves up, with the value's sign, as a byte.
fn code(value: u32, largest: u32) -> u32 {
  let exponent = (value >> 23u) & 255u;
  let apart = (largest >> 23u) - exponent;
  if (exponent == 0u || apart > 8u) {
    return 0u;
  }
  let numerator = 127u * ((value & 0x7fffffu) | 0x800000u);
  let denominator = ((largest & 0x7fffffu) | 0x800000u) << apart;
  let below = numerator / denominator;
  let rest = numerator - below * denominator;
  let nearest = below + select(0u, 1u, rest >= denominator - rest);
  return select(nearest, 0u - nearest, value >= 0x80000000u) & 255u;
}

// The word of elements 4 * word and on of a row that starts at `start`; elements from `end` on are zeros.
fn word_of(start: u32, word: u32, end: u32, largest: u32) -> u32 {
  var packed = 0u;
  for (var byte = 0u; byte < 4u; byte++) {
    let element = word * 4u + byte;
    if (element < end) {
      packed |= code(bitcast<u32>(values[start + element]), largest) << (8u * byte);
    }
  }
  return packed;
}

fn is_usable(largest: u32) -> bool {
  return largest >= 0x800000u && largest < 0x7f800000u;
}

fn store_scale(own: u32, largest: u32) {
  var bits = 0u;
  if (largest >= 0x7f800000u) {
    bits = 0x7fc00000u;
  } else if (largest >= 0x800000u) {
    bits = bitcast<u32>(bitcast<f32>(largest) * 0.007874015718698502);
  }
  scales[args.scales_offset + own] = bits;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let own = global.y * groups.x * workgroup_size + global.x;
  let row = own / args.blocks;
  if (row >= args.rows) {
    return;
  }
  let start = args.values_offset + row * args.inner;
  let first = own % args.blocks * args.block;
  let end = min(args.inner, first + args.block);
  var largest = 0u;
  for (var element = first; element < end; element++) {
    largest = max(largest, magnitude(start + element));
  }
  store_scale(own, largest);
  for (var word = first / 4u; word * 4u < end; word++) {
    let packed = word_of(start, word, end, largest);
    codes[args.codes_offset + row * args.words + word] = select(0u, packed, is_usable(largest));
  }
}

@compute @workgroup_size(workgroup_size)
fn grouped(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = group.y * groups.x + group.x;
  let row = own / args.blocks;
  if (row >= args.rows) {
    return;
  }
  let start = args.values_offset + row * args.inner;
  let first = own % args.blocks * args.block;
  let end = min(args.inner, first + args.block);
  var largest_here = 0u;
  for (var element = first + lane; element < end; element += workgroup_size) {
    largest_here = max(largest_here, magnitude(start + element));
  }
  atomicMax(&largest_of_all, largest_here);
  workgroupBarrier();
  let largest = atomicLoad(&largest_of_all);
  if (lane == 0u) {
    store_scale(own, largest);
  }
  for (var word = first / 4u + lane; word * 4u < end; word += workgroup_size) {
    let packed = word_of(start, word, end, largest);
    codes[args.codes_offset + row * args.words + word] = select(0u, packed, is_usable(largest));
  }
}
