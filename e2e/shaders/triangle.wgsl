// Each invocation adds up the numbers to its own: a good neighbour of bad shaders.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i <= id.x; i++) {
    r[id.x] += i;
  }
}
