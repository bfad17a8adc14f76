// What stands around the product, at any columns and offsets. Beyond the edges nothing is stored.

@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn bias_at(column: u32) -> vec4f {
  let at = args.bias_offset + column;
  return vec4f(bias[at], bias[at + 1u], bias[at + 2u], bias[at + 3u]);
}

fn residual_at(place: u32) -> vec4f {
  let at = args.residual_offset + place;
  return vec4f(residual[at], residual[at + 1u], residual[at + 2u], residual[at + 3u]);
}

fn output_at(place: u32) -> vec4f {
  let at = args.output_offset + place;
  return vec4f(output[at], output[at + 1u], output[at + 2u], output[at + 3u]);
}

fn store_four(row: u32, column: u32, values: vec4f) {
  var own = values;
  let count = select(0u, min(4u, args.columns - min(column, args.columns)), row < args.rows);
  for (var index = 0u; index < count; index++) {
    output[args.output_offset + row * args.output_stride + column + index] = own[index];
  }
}
