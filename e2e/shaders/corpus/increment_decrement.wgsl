// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = 0i;
  var i = 0;
  while (i < 12) { i++; x--; if (i % 2 == 0) { x++; x++; } }
  r[id.x] = bitcast<u32>(x) + id.x;
}
