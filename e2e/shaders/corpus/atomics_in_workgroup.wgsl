// grid 11 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> c: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  atomicAdd(&c, l);
  var i = 0u;
  while (i < l % 4u) { atomicOr(&c, 1u << (i + 20u)); i++; }
  workgroupBarrier();
  if (l == 0u) { r[group.x] = atomicLoad(&c) + group.x; }
}
