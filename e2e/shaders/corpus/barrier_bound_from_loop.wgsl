// grid 4 1 1
// The bound of a loop with barriers comes out of a loop without; both must stay uniform.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> t: array<u32, 64>;
var<private> v: u32;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) n: vec3u) {
  var rounds = 0u;
  for (var i = 0u; i < n.x; i++) { rounds += i + 1u; }
  for (var i = 0u; i < rounds; i++) {
    t[l] = i + l;
    workgroupBarrier();
    v += t[(l + 1u) % 64u];
    workgroupBarrier();
  }
  r[group.x * 64u + l] = v;
}
