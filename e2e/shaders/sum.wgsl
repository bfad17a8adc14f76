// Reads all of its input, 8 KiB an invocation, and returns a sum for each.
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  for (var index = 0u; index < 2048u; index++) {
    sum += weights[id.x * 2048u + index];
  }
  sums[id.x] = sum;
}
