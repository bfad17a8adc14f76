// Inputs and weights are read by four: inner and offsets are multiples of four.

@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;

fn input_at(place: u32) -> f32 {
  return input[place / 4u][place % 4u];
}

fn inputs(at: u32) -> vec4f {
  return input[at / 4u];
}

fn weight_at(place: u32) -> f32 {
  return weight[place / 4u][place % 4u];
}

fn weights(at: u32) -> vec4f {
  return weight[at / 4u];
}
