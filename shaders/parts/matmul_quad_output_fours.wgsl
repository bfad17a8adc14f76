// What stands around the product, where columns and offsets are multiples of four. Beyond the edges nothing is stored.

@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> residual: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

fn bias_at(column: u32) -> vec4f {
  return bias[(args.bias_offset + column) / 4u];
}

fn residual_at(place: u32) -> vec4f {
  return residual[(args.residual_offset + place) / 4u];
}

fn output_at(place: u32) -> vec4f {
  return output[(args.output_offset + place) / 4u];
}

fn store_four(row: u32, column: u32, values: vec4f) {
  if (row < args.rows && column < args.columns) {
    output[(args.output_offset + row * args.output_stride + column) / 4u] = values;
  }
}
