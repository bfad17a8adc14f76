// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  for (var i = 1u; i < 60000u; i <<= 1u) { sum += a[i % 256u]; }
  for (var i = 60000u; i > 0u; i >>= 2u) { sum ^= i; }
  r[id.x] = sum + id.x;
}
