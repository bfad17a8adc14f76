// One invocation of many waits for what never comes.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x == 200u) {
    while (r[3] != 7u) {
      r[id.x] += 1u;
    }
  }
}
