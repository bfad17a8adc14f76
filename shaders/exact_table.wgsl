// output = table[clamp(input, -128, 127) + 128]: any function of a byte, made once on the CPU. One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  table_offset: u32,
  output_offset: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<i32>;
@group(0) @binding(2) var<storage, read> table: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<i32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index < args.count) {
    let place = u32(clamp(input[args.input_offset + index], -128, 127) + 128);
    output[args.output_offset + index] = table[args.table_offset + place];
  }
}
