// The low or high nibbles of a word's bytes as signed numbers, by shifts.
fn low_nibbles(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word) << vec4u(28u, 20u, 12u, 4u)) >> vec4u(28u));
}

fn high_nibbles(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(28u));
}
