// RMSNorm backward to the input: with g = weight * output_gradient and r = inverse_rms of the row, input_gradient
// = r * g - input * r^3 * mean(g * input). One subgroup a row: the first of each workgroup, so that workgroup_size
// is best the subgroup's own size.

enable subgroups;
// The lanes that leave early are whole subgroups, which the compiler cannot know.
diagnostic(off, subgroup_uniformity);

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

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  let lanes = min(subgroup_size, workgroup_size);
  if (row >= args.rows || lane >= lanes) {
    return;
  }
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
  let pull = subgroupAdd(sums.x + sums.y) / f32(args.width) * scale * scale * scale;
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
