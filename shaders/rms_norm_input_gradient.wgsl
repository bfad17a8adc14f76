// RMSNorm backward to the input: with g = weight * output_gradient and r = inverse_rms of the row, input_gradient
// = r * g - input * r^3 * mean(g * input). A row is shared by `lanes` invocations of a workgroup: a power of two
// up to its size.

override workgroup_size: u32 = 32;
override lanes: u32 = 32;

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

// The sum over the lanes of a row, added in lane order by every lane.
fn row_sum(own: f32, local: u32, lane: u32) -> f32 {
  if (lanes == 1u) {
    return own;
  }
  partial[local] = own;
  workgroupBarrier();
  var sum = 0.0;
  for (var other = local - lane; other < local - lane + lanes; other++) {
    sum += partial[other];
  }
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local % lanes;
  let own_row = (group.y * groups.x + group.x) * (workgroup_size / lanes) + local / lanes;
  // Rows beyond the last compute the last again and store nothing, as all lanes must reach the barriers.
  let row = min(own_row, args.rows - 1u);
  let start = row * args.width;
  let input_start = args.input_offset + start;
  let gradient_start = args.output_gradient_offset + start;
  let scale = inverse_rms[args.inverse_rms_offset + row];
  var sums = vec2f();
  var column = lane;
  for (; column + lanes < args.width; column += 2u * lanes) {
    let next = column + lanes;
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let next_gradient = weight[args.weight_offset + next] * output_gradient[gradient_start + next];
    sums += vec2f(gradient * input[input_start + column], next_gradient * input[input_start + next]);
  }
  for (; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    sums.x += gradient * input[input_start + column];
  }
  let pull = row_sum(sums.x + sums.y, local, lane) / f32(args.width) * scale * scale * scale;
  if (own_row >= args.rows) {
    return;
  }
  for (column = lane; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let value = scale * gradient - pull * input[input_start + column];
    let place = args.input_gradient_offset + start + column;
    if (args.accumulate == 0u) {
      input_gradient[place] = value;
    } else {
      input_gradient[place] += value;
    }
  }
}
