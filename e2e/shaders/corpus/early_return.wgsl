// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x % 5u == 2u) { return; }
  var i = 0u;
  while (i < id.x) {
    i += 9u;
    if (i % 7u == 6u) { r[id.x] = i; return; }
  }
  r[id.x] = 1u;
}
