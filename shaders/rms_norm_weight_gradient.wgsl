// RMSNorm backward to the weight: the sum over rows of output_gradient * input * inverse_rms. Each of `slices`
// invocations of a column sums every slices-th row in order, then the first adds the slices in order. An override
// more: columns of a workgroup are workgroup_size / slices.

override workgroup_size: u32 = 64;
override slices: u32 = 1;

struct Arguments {
  input_offset: u32,
  inverse_rms_offset: u32,
  output_gradient_offset: u32,
  weight_gradient_offset: u32,
  rows: u32,
  width: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(3) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight_gradient: array<f32>;

var<workgroup> partial: array<f32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let columns = workgroup_size / slices;
  let own_column = (group.y * groups.x + group.x) * columns + local % columns;
  let column = min(own_column, args.width - 1u);
  let slice = local / columns;
  var sum = 0.0;
  for (var row = slice; row < args.rows; row += slices) {
    let place = row * args.width + column;
    let normal = input[args.input_offset + place] * inverse_rms[args.inverse_rms_offset + row];
    sum += output_gradient[args.output_gradient_offset + place] * normal;
  }
  if (slices > 1u) {
    partial[local] = sum;
    workgroupBarrier();
    sum = 0.0;
    for (var other = local % columns; other < workgroup_size; other += columns) {
      sum += partial[other];
    }
  }
  if (own_column >= args.width || slice > 0u) {
    return;
  }
  if (args.accumulate == 0u) {
    weight_gradient[args.weight_gradient_offset + column] = sum;
  } else {
    weight_gradient[args.weight_gradient_offset + column] += sum;
  }
}
