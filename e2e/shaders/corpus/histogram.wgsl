// grid 16 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
@group(0) @binding(2) var<storage, read_write> s: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i < 4u; i++) { atomicAdd(&s[a[(id.x * 4u + i) % 256u] % 16u], 1u); }
}
