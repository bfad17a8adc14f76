// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
const last = 200u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  for (var i: u32 = 2u; i <= last; i += 3u) { sum = sum * 31u + i; }
  r[id.x] = sum + id.x;
}
