// grid 4 1 1
enable subgroups;
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) g: vec3u, @builtin(subgroup_size) z: u32) {
  var s = subgroupAdd(l);
  for (var i = 0u; i < 3u; i++) { s = subgroupMax(s + i); }
  r[g.x * 64u + l] = s;
}
