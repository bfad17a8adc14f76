// grid 13 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
override width: u32 = 16u;
const depth = 1;

@compute @workgroup_size(width, 1u, depth)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = id.x * 2u + width;
}
