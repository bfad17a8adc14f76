// grid 4 1 1
// One function, called with what differs and with what does not; the second result bounds a loop with barriers.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> t: array<u32, 64>;
fn count(x: u32) -> u32 { var s = 0u; var y = x; while (y > 0u) { s++; y >>= 1u; } return s; }

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  let uneven = count(l);
  let even = count(group.x + 3u);
  for (var i = 0u; i < even; i++) { t[l] += uneven + i; workgroupBarrier(); }
  r[group.x * 64u + l] = t[63u - l];
}
