// Multiples of the job's factor, and the unit's number on top. One invocation an element.

override factor: u32 = 1;

@group(0) @binding(0) var<uniform> unit: vec4u;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  result[id.x] = id.x * factor + unit.x;
}
