// Backward of silu_gate: with s = 1 / (1 + exp(-gate)), silu' = s * (1 + gate * (1 - s)). Rows of `gate_up` and of its
// gradient hold the gates and then the ups. One invocation four elements of a row, a quarter of the row apart.

override workgroup_size: u32 = 64;

struct Arguments {
  gate_up_offset: u32,
  output_gradient_offset: u32,
  gate_up_gradient_offset: u32,
  rows: u32,
  hidden: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> gate_up_gradient: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.hidden + 3u) / 4u;
  let row = index / quarter;
  if (row >= args.rows) {
    return;
  }
  let own = row * 2u * args.hidden;
  for (var column = index % quarter; column < args.hidden; column += quarter) {
    let x = gate_up[args.gate_up_offset + own + column];
    let up = gate_up[args.gate_up_offset + own + args.hidden + column];
    let gradient = output_gradient[args.output_gradient_offset + row * args.hidden + column];
    let s = 1.0 / (1.0 + exp(-x));
    let slope = s * (1.0 + x * (1.0 - s));
    gate_up_gradient[args.gate_up_gradient_offset + own + column] = gradient * up * slope;
    gate_up_gradient[args.gate_up_gradient_offset + own + args.hidden + column] = gradient * x * s;
  }
}
