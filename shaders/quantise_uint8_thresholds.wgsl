// From the sum of squares of `count` numbers the bins of quantise-uint8.ts: at place c the least number of bin c, at place 0 one
// over the bins' width, which is 0 for zeros and NaN for what is not finite. One invocation a bin.

override workgroup_size: u32 = 64;

struct Arguments {
  squared_norm_offset: u32,
  thresholds_offset: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> squared_norm: array<f32>;
@group(0) @binding(2) var<storage, read_write> thresholds: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let bin = global.x;
  if (bin >= 256u) {
    return;
  }
  let squares = squared_norm[args.squared_norm_offset];
  let width = 6.0 / 256.0 * sqrt(squares / f32(max(args.count, 2u) - 1u));
  var bits = bitcast<u32>((f32(bin) - 128.5) * width);
  if (bin == 0u) {
    // A width whose inverse is no f32 any more is as good as none.
    bits = bitcast<u32>(select(0.0, 1.0 / max(width, 1.0e-37), width >= 1.0e-37));
    if ((bitcast<u32>(squares) & 0x7fffffffu) >= 0x7f800000u) {
      bits = 0x7fc00000u;
    }
  }
  thresholds[args.thresholds_offset + bin] = bits;
}
