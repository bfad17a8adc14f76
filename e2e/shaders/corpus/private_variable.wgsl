// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<private> kept: u32 = 7u;
fn touch(n: u32) { for (var i = 0u; i < n % 9u; i++) { kept = kept * 3u + i; } }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  touch(id.x);
  r[id.x] = kept;
}
