// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
const size = 4u * 2u;
override seed: u32 = 11u;
@id(5) override other: u32 = seed + 1u;
const_assert size == 8u;
var<private> kept: u32 = 5u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  const k = 3u;
  let base = id.x * k;
  var v: u32 = base;
  const_assert k == 3u;
  for (var i = 0u; i < k + size; i++) { let j = i + v; v = j * 3u + seed; }
  r[id.x] = v;
}
