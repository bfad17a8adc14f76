// grid 2 3 5
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(4, 2, 1)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + 8u * (id.y + 6u * id.z);
  r[i % 1024u] = id.x * 10000u + id.y * 100u + id.z;
}
