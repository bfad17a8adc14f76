// RMSNorm: output = weight * input * r, r = 1 / sqrt(mean(input^2) + epsilon) of each row. One workgroup a row.

override workgroup_size: u32 = 32;

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  output_offset: u32,
  inverse_rms_offset: u32,
  rows: u32,
  width: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;
@group(0) @binding(4) var<storage, read_write> inverse_rms: array<f32>;

var<workgroup> partial: array<f32, workgroup_size>;

// The sum over the workgroup, added in lane order by every lane.
fn total(own: f32, lane: u32) -> f32 {
  partial[lane] = own;
  workgroupBarrier();
  var sum = 0.0;
  for (var index = 0u; index < workgroup_size; index++) {
    sum += partial[index];
  }
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  if (row >= args.rows) {
    return;
  }
  let start = args.input_offset + row * args.width;
  var sum = 0.0;
  for (var column = lane; column < args.width; column += workgroup_size) {
    let value = input[start + column];
    sum += value * value;
  }
  let scale = 1.0 / sqrt(total(sum, lane) / f32(args.width) + args.epsilon);
  for (var column = lane; column < args.width; column += workgroup_size) {
    let value = weight[args.weight_offset + column] * input[start + column] * scale;
    output[args.output_offset + row * args.width + column] = value;
  }
  if (lane == 0u) {
    inverse_rms[args.inverse_rms_offset + row] = scale;
  }
}
