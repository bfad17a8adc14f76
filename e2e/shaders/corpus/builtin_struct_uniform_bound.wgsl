// grid 6 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
struct In { @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) many: vec3u }
var<workgroup> t: array<u32, 64>;

@compute @workgroup_size(64)
fn main(in: In, @builtin(local_invocation_index) l: u32) {
  for (var i = 0u; i < in.group.x % 3u + 1u; i++) { t[l] += i + l; workgroupBarrier(); }
  r[in.group.x * 64u + l] = t[63u - l];
}
