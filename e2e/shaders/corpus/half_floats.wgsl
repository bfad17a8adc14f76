// grid 4 1 1
enable f16;
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = f16(id.x % 50u);
  while (x > 3.0h) { x = x * 0.5h; }
  r[id.x] = u32(x * 100.0h);
}
