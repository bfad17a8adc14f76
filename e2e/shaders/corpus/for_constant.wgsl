// grid 4 1 1
// A loop between small constants, which goes free.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  for (var i = 0u; i < 16u; i++) { sum += a[(id.x + i) % 256u]; }
  r[id.x] = sum;
}
