// How many multiplications and additions an adapter can do at most: 12 sums held in registers, far from memory. Enough of
// them that none waits for another, and few enough that software adapters, whose registers are few, spill none. What a
// number is, its part says.

override workgroup_size: u32 = 64;

struct Arguments {
  output_offset: u32,
  rounds: u32,
  factor: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let x = number_of(args.factor);
  let y = number_of(f32(index % 16u) * 0.001);
  var sum0 = y + 0.0;
  var sum1 = y + 0.1;
  var sum2 = y + 0.2;
  var sum3 = y + 0.3;
  var sum4 = y + 0.4;
  var sum5 = y + 0.5;
  var sum6 = y + 0.6;
  var sum7 = y + 0.7;
  var sum8 = y + 0.8;
  var sum9 = y + 0.9;
  var sum10 = y + 1.0;
  var sum11 = y + 1.1;
  // Four times each, so that counting rounds costs next to nothing.
  for (var round = 0u; round < args.rounds; round++) {
    sum0 = fma(sum0, x, y);
    sum1 = fma(sum1, x, y);
    sum2 = fma(sum2, x, y);
    sum3 = fma(sum3, x, y);
    sum4 = fma(sum4, x, y);
    sum5 = fma(sum5, x, y);
    sum6 = fma(sum6, x, y);
    sum7 = fma(sum7, x, y);
    sum8 = fma(sum8, x, y);
    sum9 = fma(sum9, x, y);
    sum10 = fma(sum10, x, y);
    sum11 = fma(sum11, x, y);
    sum0 = fma(sum0, x, y);
    sum1 = fma(sum1, x, y);
    sum2 = fma(sum2, x, y);
    sum3 = fma(sum3, x, y);
    sum4 = fma(sum4, x, y);
    sum5 = fma(sum5, x, y);
    sum6 = fma(sum6, x, y);
    sum7 = fma(sum7, x, y);
    sum8 = fma(sum8, x, y);
    sum9 = fma(sum9, x, y);
    sum10 = fma(sum10, x, y);
    sum11 = fma(sum11, x, y);
    sum0 = fma(sum0, x, y);
    sum1 = fma(sum1, x, y);
    sum2 = fma(sum2, x, y);
    sum3 = fma(sum3, x, y);
    sum4 = fma(sum4, x, y);
    sum5 = fma(sum5, x, y);
    sum6 = fma(sum6, x, y);
    sum7 = fma(sum7, x, y);
    sum8 = fma(sum8, x, y);
    sum9 = fma(sum9, x, y);
    sum10 = fma(sum10, x, y);
    sum11 = fma(sum11, x, y);
    sum0 = fma(sum0, x, y);
    sum1 = fma(sum1, x, y);
    sum2 = fma(sum2, x, y);
    sum3 = fma(sum3, x, y);
    sum4 = fma(sum4, x, y);
    sum5 = fma(sum5, x, y);
    sum6 = fma(sum6, x, y);
    sum7 = fma(sum7, x, y);
    sum8 = fma(sum8, x, y);
    sum9 = fma(sum9, x, y);
    sum10 = fma(sum10, x, y);
    sum11 = fma(sum11, x, y);
  }
  let all = sum0 + sum1 + sum2 + sum3 + sum4 + sum5 + sum6 + sum7 + sum8 + sum9 + sum10 + sum11;
  output[args.output_offset + index] = single_of(all);
}
