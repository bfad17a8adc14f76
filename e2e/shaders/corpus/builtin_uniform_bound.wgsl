// grid 6 1 1
// Barriers under bounds that come from shifted builtins.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> t: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
  for (var i = 0u; i < g.x % 3u + n.y; i++) { t[l] += i + l; workgroupBarrier(); }
  r[g.x * 64u + l] = t[63u - l];
}
