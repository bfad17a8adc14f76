// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = a[id.x % 256u] % 1000u + 1u;
  var y = id.x + 1u;
  while (y != 0u) {
    let t = x % y;
    x = y;
    y = t;
  }
  r[id.x] = x;
}
