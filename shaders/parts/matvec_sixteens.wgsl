// Inputs are read by four and weights by sixteen: inner and the weight's offset are multiples of sixteen.

@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<mat4x4f>;

fn weights(at: u32) -> mat4x4f {
  return weight[at / 16u];
}
