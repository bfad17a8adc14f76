// Inputs are read by four and weights by sixteen halves, two in each word: inner and the weight's offset are multiples of sixteen.

@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4u>;

fn unpacked(words: vec2u) -> vec4f {
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn weights(at: u32) -> mat4x4f {
  let first = weight[at / 8u];
  let second = weight[at / 8u + 1u];
  return mat4x4f(unpacked(first.xy), unpacked(first.zw), unpacked(second.xy), unpacked(second.zw));
}
