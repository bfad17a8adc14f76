// Whether a text ends in the right sum, as a shader job: 1 where it does, 0 where it does not. The tokens are bytes.

struct Sample {
  prompt: u32,
  drawn: u32,
  // The prompt's tokens, then the drawn ones.
  tokens: array<u32>,
}

@group(0) @binding(0) var<storage, read> text: Sample;
@group(0) @binding(1) var<storage, read_write> score: array<f32>;

const zero = 48u;
const equals = 61u;
const columns = 3u;

// "78 56 34:" is 357 + 468: column by column from the ones, three characters each.
fn asked() -> u32 {
  var sum = 0u;
  var weight = 1u;
  for (var column = 0u; column < columns; column++) {
    let at = text.prompt - 3u * columns + 3u * column;
    sum += weight * (text.tokens[at] + text.tokens[at + 1u] - 2u * zero);
    weight *= 10u;
  }
  return sum;
}

@compute @workgroup_size(1)
fn main() {
  let end = text.prompt + text.drawn;
  // An equals sign and four digits.
  if (text.prompt < 3u * columns || text.drawn < 5u || text.tokens[end - 5u] != equals) {
    score[0] = 0;
    return;
  }
  var said = 0u;
  for (var at = end - 4u; at < end; at++) {
    said = 10u * said + text.tokens[at] - zero;
  }
  score[0] = f32(said == asked());
}
