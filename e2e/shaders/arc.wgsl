// The length of a parabola's arc: lane i of unit u adds sqrt(1 + 4 x^2) over its 64th of a unit of x, by the midpoint rule.
override slices: u32 = 4096;

@group(0) @binding(0) var<uniform> unit: u32;
@group(0) @binding(1) var<storage, read_write> lengths: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let start = f32(unit * 64 + id.x) / 64;
  let step = 1 / (64 * f32(slices));
  var length = 0.0;
  for (var slice = 0u; slice < slices; slice++) {
    let x = start + (f32(slice) + 0.5) * step;
    length += sqrt(1 + 4 * x * x) * step;
  }
  lengths[id.x] = length;
}
