// Inputs and weights are read by single words, at any offset. Weights are f32, or two halves in each word.

override half_weights: bool = false;

@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<u32>;

fn input_at(place: u32) -> f32 {
  return input[place];
}

fn inputs(at: u32) -> vec4f {
  return vec4f(input[at], input[at + 1u], input[at + 2u], input[at + 3u]);
}

fn weight_at(place: u32) -> f32 {
  if (!half_weights) {
    return bitcast<f32>(weight[place]);
  }
  let pair = unpack2x16float(weight[place / 2u]);
  return select(pair.x, pair.y, place % 2u == 1u);
}

fn weights(at: u32) -> vec4f {
  return vec4f(weight_at(at), weight_at(at + 1u), weight_at(at + 2u), weight_at(at + 3u));
}
