// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn inner(n: u32) -> u32 { var s = 1u; for (var i = 0u; i < n; i++) { s = s * 3u + i; } return s; }
fn outer(n: u32) -> u32 { var s = 0u; for (var i = 0u; i < n; i++) { s += inner(i) + inner(inner(1u) % 5u); } return s; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = outer(id.x % 6u) + inner(id.x % 4u);
}
