// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = id.x + 3u;
  for (var i = 1u; i < a[2] % 9u + 4u; i++) {
    x += i; x *= 5u; x -= 2u; x ^= 77u; x |= 1u; x &= 0xffffu; x <<= 1u; x >>= 1u; x /= 2u; x %= 9973u;
  }
  r[id.x] = x;
}
