// How words of four int8 are multiplied: by the packed dot product.

requires packed_4x8_integer_dot_product;

// Sums of four columns plus an input word times a word of each.
fn add_word(input_word: u32, words: vec4u, sums: vec4i) -> vec4i {
  return sums + vec4i(
    dot4I8Packed(input_word, words.x),
    dot4I8Packed(input_word, words.y),
    dot4I8Packed(input_word, words.z),
    dot4I8Packed(input_word, words.w),
  );
}
