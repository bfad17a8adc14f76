// All invocations meet at a barrier in a loop in a loop, for ever.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (;;) {
    for (;;) {
      workgroupBarrier();
      r[id.x] += 1u;
    }
  }
}
