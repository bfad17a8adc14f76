// y = x_scale * x + y_scale * y in place. One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  x_offset: u32,
  y_offset: u32,
  count: u32,
  x_scale: f32,
  y_scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  let place = args.y_offset + index;
  y[place] = args.x_scale * x[args.x_offset + index] + args.y_scale * y[place];
}
