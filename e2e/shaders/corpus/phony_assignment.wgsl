// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn f(x: u32) -> u32 { return x; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  _ = a[0];
  var i = 0u;
  loop { _ = i + 1u; i++; if (i > 4u) { break; } }
  _ = f(i);
  r[id.x] = i + id.x;
}
