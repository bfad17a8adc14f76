// y = x_scale * x + y_scale * y in place. Each invocation takes every elements-th, as many as there are invocations. Four elements
// at once: offsets and count are multiples of four.

override workgroup_size: u32 = 64;

struct Arguments {
  x_offset: u32,
  y_offset: u32,
  count: u32,
  x_scale: f32,
  y_scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let x_start = args.x_offset / 4u;
  let y_start = args.y_offset / 4u;
  let stride = groups.x * workgroup_size;
  for (var index = global.x; index < args.count / 4u; index += stride) {
    let place = y_start + index;
    y[place] = args.x_scale * x[x_start + index] + args.y_scale * y[place];
  }
}
