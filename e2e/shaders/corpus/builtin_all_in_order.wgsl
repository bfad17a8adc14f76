// grid 3 2 4
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(4, 2)
fn main(@builtin(local_invocation_id) l: vec3u, @builtin(local_invocation_index) at: u32, @builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = (g.x + n.x * (g.y + n.y * g.z)) * 8u + at;
  r[i % 1024u] = id.x + 100u * id.y + 10000u * id.z + 1000000u * l.x + 2000000u * l.y;
}
