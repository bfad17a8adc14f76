// Quants of a word as signed numbers, by shifts: its four bytes, or the low or high nibbles of those.
fn shifted(word: u32, up: vec4u, down: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word) << up) >> vec4u(down));
}

fn bytes(word: u32) -> vec4f {
  return shifted(word, vec4u(24u, 16u, 8u, 0u), 24u);
}

fn low_nibbles(word: u32) -> vec4f {
  return shifted(word, vec4u(28u, 20u, 12u, 4u), 28u);
}

fn high_nibbles(word: u32) -> vec4f {
  return shifted(word, vec4u(24u, 16u, 8u, 0u), 28u);
}
