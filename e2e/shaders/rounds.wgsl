// Half as many as the rounds of its loop, whose bound the test writes in.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i < 1000u; i++) {
    r[id.x] += i & 1u;
  }
}
