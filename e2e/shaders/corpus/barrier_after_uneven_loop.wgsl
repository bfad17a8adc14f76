// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> t: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  var n = 0u;
  while (n * n < a[l] % 999u) { n++; }
  t[l] = n;
  workgroupBarrier();
  var sum = 0u;
  for (var i = 0u; i < 64u; i++) { sum += t[i]; }
  r[group.x * 64u + l] = sum;
}
