// grid 8 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn deep(place: vec3u, group: vec3u) -> u32 { var s = place.x; while (s > group.x + 50u) { s -= 3u; } return s; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) g: vec3u) {
  r[id.x] = deep(id, g);
}
