// Squares the numbers of one unit: `values` is what the program gave this unit, `squares` what comes back to it.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> squares: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&values)) {
    return;
  }
  squares[id.x] = values[id.x] * values[id.x];
}
