// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  for (var i = 0u; i < 20u; i++) {
    switch (i + id.x) % 6u {
      case 0u: { sum += 1u; }
      case 1u, 2u: { sum = sum * 3u; }
      case 3u { sum ^= i; continue; }
      default: { sum += 9u; }
    }
    sum += 2u;
  }
  r[id.x] = sum;
}
