// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = f32(id.x) * 0.01;
  for (var i = 0; i < 30; i++) { x = x - (x * x - 2.0) / (2.0 * x + 0.125); }
  var y = 1e-3f;
  while (y < 1.5) { y *= 1.0625; }
  r[id.x] = bitcast<u32>(x) ^ bitcast<u32>(y);
}
