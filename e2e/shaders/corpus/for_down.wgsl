// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0;
  for (var i = 9i; i > 0; i--) { sum = sum * 3 + i; }
  r[id.x] = u32(sum) ^ id.x;
}
