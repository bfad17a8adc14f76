// grid 5 3 7
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(1)
fn main(@builtin(num_workgroups) n: vec3u, @builtin(workgroup_id) g: vec3u) {
  r[g.x + n.x * (g.y + n.y * g.z)] = n.x * 10000u + n.y * 100u + n.z;
}
