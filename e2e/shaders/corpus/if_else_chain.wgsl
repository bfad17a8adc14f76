// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var v = 0u;
  if (id.x < 10u) { v = 1u; } else if id.x < 100u { v = 2u; while (v < id.x) { v *= 2u; } } else { v = 3u; }
  r[id.x] = v;
}
