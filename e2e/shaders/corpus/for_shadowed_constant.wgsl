// grid 4 1 1
// The bound is not the module constant of that name.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
const last = 8u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let last = id.x + 100u;
  var sum = 0u;
  for (var i = 0u; i < last; i++) { sum += i; }
  r[id.x] = sum;
}
