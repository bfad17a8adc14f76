// Needs ten times the first budget, so it runs twice; what it counts must not count twice.
@group(0) @binding(0) var<storage, read_write> r: array<atomic<u32>, 256>;

@compute @workgroup_size(1)
fn main() {
  for (var i = 0u; i < 650000u; i++) {
    if (i % 1000u == 0u) {
      atomicAdd(&r[0], 1u);
    }
  }
}
