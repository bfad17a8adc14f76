// The low or high nibbles of a word's bytes as signed numbers, for GPUs, which convert numbers at a quarter of the rate of
// other work. A nibble in place in the mantissa of 2^23 is 2^23 + 16^n nibble. The XOR makes -8 .. 7 count from 0, and what
// is taken off afterwards turns that back; every step is exact.
fn low_nibbles(word: u32) -> vec4f {
  let low = vec4u(word & 0xfu, word & 0xf00u, (word >> 16u) & 0xfu, (word >> 16u) & 0xf00u);
  let marked = bitcast<vec4f>(low ^ vec4u(0x4b000008u, 0x4b000800u, 0x4b000008u, 0x4b000800u));
  return fma(marked, vec4f(1.0, 0.00390625, 1.0, 0.00390625), vec4f(-8388616.0, -32776.0, -8388616.0, -32776.0));
}

fn high_nibbles(word: u32) -> vec4f {
  return low_nibbles(word >> 4u);
}
