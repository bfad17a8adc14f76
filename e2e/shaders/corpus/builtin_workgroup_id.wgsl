// grid 3 4 5
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) g: vec3<u32>) {
  let i = g.x + 3u * (g.y + 4u * g.z);
  r[i] = g.x * 100u + g.y * 10u + g.z + 1u;
}
