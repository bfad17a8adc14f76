// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var v = id.x;
  for (var i = 0u; i < countOneBits(a[4]) + 3u; i++) { v = reverseBits(v) ^ ((v << (i % 5u)) + firstLeadingBit(v | 1u)); }
  r[id.x] = v + pack4x8unorm(vec4f(0.5));
}
