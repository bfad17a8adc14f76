// Bytes four to a word: output byte i is i + unit index, whatever the count.
@group(0) @binding(0) var<uniform> unit: vec4u;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&words)) { return; }
  var word = 0u;
  for (var byte = 0u; byte < 4u; byte++) {
    word |= ((id.x * 4u + byte + unit.x) & 255u) << (8u * byte);
  }
  words[id.x] = word;
}
