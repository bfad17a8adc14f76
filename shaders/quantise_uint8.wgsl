// The bin of each number, a byte each, by comparing with the bins' least numbers, so that bins are exact; and what falls in
// each bin (see quantise-uint8.ts). Part p packs words p, p + parts, ...; its sums and then its counts lie at 512 p. The first
// guess of a bin may be one off.

override workgroup_size: u32 = 64;

struct Arguments {
  values_offset: u32,
  thresholds_offset: u32,
  codes_offset: u32,
  shares_offset: u32,
  count: u32,
  parts: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> thresholds: array<f32>;
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;
@group(0) @binding(4) var<storage, read_write> shares: array<f32>;

fn code(value: f32, inverse: f32) -> u32 {
  let guess = u32(clamp(floor(value * inverse + 128.5), 0.0, 255.0));
  if (guess > 0u && value < thresholds[args.thresholds_offset + guess]) {
    return guess - 1u;
  }
  if (guess < 255u && value >= thresholds[args.thresholds_offset + guess + 1u]) {
    return guess + 1u;
  }
  return guess;
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let part = global.x;
  if (part >= args.parts) {
    return;
  }
  var sums: array<f32, 256>;
  var counts: array<u32, 256>;
  let inverse_bits = bitcast<u32>(thresholds[args.thresholds_offset]);
  let is_finite = (inverse_bits & 0x7fffffffu) < 0x7f800000u;
  let inverse = bitcast<f32>(inverse_bits);
  for (var word = part; word * 4u < args.count; word += args.parts) {
    var packed = 0u;
    for (var byte = 0u; byte < 4u; byte++) {
      let element = word * 4u + byte;
      if (is_finite && element < args.count) {
        let value = values[args.values_offset + element];
        let own = select(code(value, inverse), 128u, inverse_bits == 0u);
        packed |= own << (8u * byte);
        sums[own] += value;
        counts[own] += 1u;
      }
    }
    codes[args.codes_offset + word] = packed;
  }
  let start = args.shares_offset + part * 512u;
  for (var bin = 0u; bin < 256u; bin++) {
    shares[start + bin] = sums[bin];
    shares[start + 256u + bin] = f32(counts[bin]);
  }
}
