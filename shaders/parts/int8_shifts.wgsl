// How words of four int8 are multiplied where the language has no packed dot product: unpacked by shifts.

fn bytes(word: u32) -> vec4i {
  return bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u);
}

// Sums of four columns plus an input word times a word of each.
fn add_word(input_word: u32, words: vec4u, sums: vec4i) -> vec4i {
  let four = bytes(input_word);
  return sums + vec4i(
    dot(four, bytes(words.x)),
    dot(four, bytes(words.y)),
    dot(four, bytes(words.z)),
    dot(four, bytes(words.w)),
  );
}
