// RMSNorm backward to the input: with g = weight * output_gradient and r = inverse_rms of the row, input_gradient = r
// * g - input * r^3 * mean(g * input). One workgroup a row.

override workgroup_size: u32 = 32;

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  inverse_rms_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  rows: u32,
  width: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(4) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> input_gradient: array<f32>;

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
  let start = row * args.width;
  let scale = inverse_rms[args.inverse_rms_offset + row];
  var sum = 0.0;
  for (var column = lane; column < args.width; column += workgroup_size) {
    let gradient = weight[args.weight_offset + column] * output_gradient[args.output_gradient_offset + start + column];
    sum += gradient * input[args.input_offset + start + column];
  }
  let pull = total(sum, lane) / f32(args.width) * scale * scale * scale;
  for (var column = lane; column < args.width; column += workgroup_size) {
    let gradient = weight[args.weight_offset + column] * output_gradient[args.output_gradient_offset + start + column];
    let value = scale * gradient - pull * input[args.input_offset + start + column];
    let place = args.input_gradient_offset + start + column;
    if (args.accumulate == 0u) {
      input_gradient[place] = value;
    } else {
      input_gradient[place] += value;
    }
  }
}
