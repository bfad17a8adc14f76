// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> bound: u32;
var<workgroup> t: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  if (l == 5u) { bound = group.x % 4u + 2u; }
  let n = workgroupUniformLoad(&bound);
  for (var i = 0u; i < n; i++) { t[l] += i + l; workgroupBarrier(); }
  r[group.x * 64u + l] = t[l];
}
