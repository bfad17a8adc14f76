// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn first(x: u32) -> u32 { return x % 7u; }
fn less(i: u32) -> bool { return i < 90u; }
fn next(i: u32) -> u32 {
  var n = i;
  while (n % 5u != 4u) { n++; }
  return n + 1u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  for (var i = first(id.x); less(i); i = next(i)) { sum += i; }
  r[id.x] = sum;
}
