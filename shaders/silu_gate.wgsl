// output = silu(gate) * up, silu(x) = x / (1 + exp(-x)), where a row of `gate_up` holds the gates and then the ups. One
// invocation four elements of a row, a quarter of the row apart.

override workgroup_size: u32 = 64;

struct Arguments {
  gate_up_offset: u32,
  output_offset: u32,
  rows: u32,
  hidden: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.hidden + 3u) / 4u;
  let row = index / quarter;
  if (row >= args.rows) {
    return;
  }
  let gate = args.gate_up_offset + row * 2u * args.hidden;
  let start = args.output_offset + row * args.hidden;
  for (var column = index % quarter; column < args.hidden; column += quarter) {
    let x = gate_up[gate + column];
    output[start + column] = x / (1.0 + exp(-x)) * gate_up[gate + args.hidden + column];
  }
}
