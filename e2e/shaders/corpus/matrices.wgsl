// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var m = mat2x2<f32>(1.0, 1.0, 1.0, 0.0);
  var p = mat2x2f(1.0, 0.0, 0.0, 1.0);
  var n = id.x % 20u;
  while (n > 0u) { if ((n & 1u) == 1u) { p = p * m; } m = m * m; n >>= 1u; }
  r[id.x] = u32(p[0].y) + u32(p[1][0]) * 3u;
}
