// Counts the points with whole coordinates in a quarter of a circle, a band of rows a unit. Four times the sum of all
// units over the radius squared comes near to pi. Each unit returns four partial sums, which `add.wgsl` adds up.

override radius: u32 = 20000;

@group(0) @binding(0) var<uniform> unit: vec4u;
@group(0) @binding(1) var<storage, read_write> partial: array<u32, 4>;

// How many x from 0 on have x * x + y * y below radius * radius.
fn points_in_row(y: u32) -> u32 {
  let room = radius * radius - y * y;
  // The float only guesses.
  var x = u32(sqrt(f32(room)));
  for (var step = 0; step < 64 && x * x >= room; step++) {
    x -= 1u;
  }
  for (var step = 0; step < 64 && (x + 1u) * (x + 1u) < room; step++) {
    x += 1u;
  }
  return x + 1u;
}

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_id) id: vec3u) {
  let first = unit.x * radius / unit.y;
  let end = (unit.x + 1u) * radius / unit.y;
  var sum = 0u;
  for (var y = first + id.x; y < end; y += 4u) {
    sum += points_in_row(y);
  }
  partial[id.x] = sum;
}
