// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = later(id.x);
}
fn later(n: u32) -> u32 {
  var s = n;
  while (s > 10u) { s = even_later(s); }
  return s;
}
fn even_later(n: u32) -> u32 {
  return n / 2u;
}
