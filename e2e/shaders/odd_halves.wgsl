// Half floats at an odd count: output i is i / 2.
enable f16;

@group(0) @binding(0) var<storage, read_write> halves: array<f16>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&halves)) { return; }
  halves[id.x] = f16(id.x) / 2.0h;
}
