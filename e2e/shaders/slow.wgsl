// Ends, but later than its job allows.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i < 30000u; i++) {
    r[id.x] = r[id.x] * 3u + i;
  }
}
