// LayerNorm backward to the input: with n = (input - mean) * r and g = weight * output_gradient, input_gradient =
// r * (g - mean(g) - n * mean(g * n)) of each row. A row is shared by `lanes` invocations of a workgroup: a power
// of two up to its size.

override workgroup_size: u32 = 32;
override lanes: u32 = 32;

struct Arguments {
  input_offset: u32,
  weight_offset: u32,
  mean_offset: u32,
  inverse_deviation_offset: u32,
  output_gradient_offset: u32,
  input_gradient_offset: u32,
  rows: u32,
  width: u32,
  accumulate: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inverse_deviation: array<f32>;
@group(0) @binding(5) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> input_gradient: array<f32>;

var<workgroup> partial: array<vec2f, workgroup_size>;

// The sums over the lanes of a row, added in lane order by every lane.
fn row_sum(own: vec2f, local: u32, lane: u32) -> vec2f {
  if (lanes == 1u) {
    return own;
  }
  partial[local] = own;
  workgroupBarrier();
  var sum = vec2f();
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
  let start = args.input_offset + row * args.width;
  let gradient_start = args.output_gradient_offset + row * args.width;
  let centre = mean[args.mean_offset + row];
  let scale = inverse_deviation[args.inverse_deviation_offset + row];
  var sums = vec2f();
  for (var column = lane; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let normal = (input[start + column] - centre) * scale;
    sums += vec2f(gradient, gradient * normal);
  }
  let means = row_sum(sums, local, lane) / f32(args.width);
  if (own_row >= args.rows) {
    return;
  }
  for (var column = lane; column < args.width; column += lanes) {
    let gradient = weight[args.weight_offset + column] * output_gradient[gradient_start + column];
    let normal = (input[start + column] - centre) * scale;
    let value = scale * (gradient - means.x - normal * means.y);
    let place = args.input_gradient_offset + row * args.width + column;
    if (args.accumulate == 0u) {
      input_gradient[place] = value;
    } else {
      input_gradient[place] += value;
    }
  }
}
