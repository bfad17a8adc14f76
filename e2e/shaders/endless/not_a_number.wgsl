// A comparison that NaN never makes true.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = bitcast<f32>(r[0] + 0x7fc00000u);
  while (!(x > 1.0)) {
    x = x * 2.0;
  }
  r[id.x] = u32(x);
}
