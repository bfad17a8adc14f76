// The inner loop never ends, so the outer never goes on.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (;;) {
    while (true) {
      r[id.x] += 1u;
    }
  }
}
