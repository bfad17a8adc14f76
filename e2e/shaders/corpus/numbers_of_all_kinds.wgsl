// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var s = 0x1Fu + u32(.5 + 1.) + u32(1e2f) + u32(0x1p4) + u32(3.f) + 7u;
  for (var i = 0x0u; i < 0x10u; i++) { s += i; }
  r[id.x] = s + id.x;
}
