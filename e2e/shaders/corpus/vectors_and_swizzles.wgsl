// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var v = vec4<u32>(id.x, 1u, 2u, 3u);
  for (var i = 0u; i < a[3] % 6u + 2u; i++) { v = v.yzwx + v.xxyy * 2u; v[i % 4u] += 1u; }
  r[id.x] = v.x ^ v.y ^ v.z ^ v.w;
}
