// values = table[code], a byte each. One invocation an element.

override workgroup_size: u32 = 64;

struct Arguments {
  codes_offset: u32,
  table_offset: u32,
  values_offset: u32,
  count: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index < args.count) {
    let code = (codes[args.codes_offset + index / 4u] >> (8u * (index % 4u))) & 255u;
    values[args.values_offset + index] = table[args.table_offset + code];
  }
}
