// Softmax backward: input_gradient = output * (output_gradient - sum(output * output_gradient)) of each row. A row
// is shared by `lanes` invocations of a workgroup: a power of two up to its size.

override workgroup_size: u32 = 32;
override lanes: u32 = 32;

struct Arguments {
  output_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

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
  let output_start = args.output_offset + row * args.width;
  let gradient_start = args.output_gradient_offset + row * args.width;
  var sums = vec4f();
  var column = lane;
  for (; column + 3u * lanes < args.width; column += 4u * lanes) {
    let place = output_start + column;
    let from_place = gradient_start + column;
    sums.x += output[place] * output_gradient[from_place];
    sums.y += output[place + lanes] * output_gradient[from_place + lanes];
    sums.z += output[place + 2u * lanes] * output_gradient[from_place + 2u * lanes];
    sums.w += output[place + 3u * lanes] * output_gradient[from_place + 3u * lanes];
  }
  for (; column < args.width; column += lanes) {
    sums.x += output[output_start + column] * output_gradient[gradient_start + column];
  }
  let pull = row_sum((sums.x + sums.y) + (sums.z + sums.w), local, lane);
  if (own_row >= args.rows) {
    return;
  }
  for (column = lane; column < args.width; column += lanes) {
    let value = output[output_start + column] * (output_gradient[gradient_start + column] - pull);
    input_gradient[args.input_gradient_offset + row * args.width + column] = value;
  }
}
