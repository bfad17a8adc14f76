// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> t: array<u32, 64>;
fn spread(x: u32) -> u32 { var y = x; loop { y++; if (y % 2u == 1u) { return y; } } }
fn total(n: u32) -> u32 {
  var s = 0u;
  for (var i = 0u; i < n * 3u; i++) { s += t[i % 64u]; workgroupBarrier(); }
  return s;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  var x = l;
  while (x % 5u != 3u) { x = spread(x); }
  t[l] = x;
  workgroupBarrier();
  r[group.x * 64u + l] = total(4u) + total(8u);
}
