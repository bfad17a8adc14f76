// grid 7 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> t: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  t[l] = a[(group.x * 64u + l) % 256u];
  workgroupBarrier();
  for (var s = 32u; s > 0u; s >>= 1u) {
    if (l < s) { t[l] += t[l + s]; }
    workgroupBarrier();
  }
  if (l == 0u) { r[group.x] = t[0]; }
}
