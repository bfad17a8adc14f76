// How many bytes an adapter can move at most by WGSL: each invocation copies four vectors, neighbours beside neighbours.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  output_offset: u32,
  vectors: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(num_workgroups) groups: vec3u,
) {
  let first = (group.y * groups.x + group.x) * workgroup_size * 4u + local;
  let from_start = args.input_offset / 4u;
  let to_start = args.output_offset / 4u;
  for (var step = 0u; step < 4u; step++) {
    let index = first + step * workgroup_size;
    if (index < args.vectors) {
      output[to_start + index] = input[from_start + index];
    }
  }
}
