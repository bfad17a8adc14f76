// Keeps the GPU busy for a while: `rounds` dependent steps for each element.
override rounds: u32 = 1000;

@group(0) @binding(0) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&values)) { return; }
  var value = values[id.x];
  for (var round = 0u; round < rounds; round++) {
    value = value * 1664525u + 1013904223u;
  }
  values[id.x] = value;
}
