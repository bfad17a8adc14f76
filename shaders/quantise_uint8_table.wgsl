// The mean of what fell in each bin, 0 where nothing did, from the shares of quantise_uint8.wgsl; NaN throughout where the bins'
// width is no number. One invocation a bin, which adds the parts in their order.

override workgroup_size: u32 = 64;

struct Arguments {
  shares_offset: u32,
  thresholds_offset: u32,
  table_offset: u32,
  parts: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> shares: array<f32>;
@group(0) @binding(2) var<storage, read> thresholds: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let bin = global.x;
  if (bin >= 256u) {
    return;
  }
  var sum = 0.0;
  var count = 0.0;
  for (var part = 0u; part < args.parts; part++) {
    let start = args.shares_offset + part * 512u + bin;
    sum += shares[start];
    count += shares[start + 256u];
  }
  let is_finite = (thresholds[args.thresholds_offset] & 0x7fffffffu) < 0x7f800000u;
  table[args.table_offset + bin] = select(0x7fc00000u, bitcast<u32>(sum / max(count, 1.0)), is_finite);
}
