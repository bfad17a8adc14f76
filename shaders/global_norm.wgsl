// The sum of squares of a vector in a fixed order. `parts`: a workgroup a part, whose invocations take every
// (parts * workgroup_size)-th element and meet in a tree of shared memory. `total`: one workgroup adds the parts the same way.

override workgroup_size: u32 = 256;

struct Arguments {
  input_offset: u32,
  output_offset: u32,
  count: u32,
  parts: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

var<workgroup> shares: array<f32, workgroup_size>;

// The sum of all shares, in every invocation.
fn sum_of(share: f32, lane: u32) -> f32 {
  shares[lane] = share;
  for (var half = workgroup_size / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      shares[lane] += shares[lane + half];
    }
  }
  workgroupBarrier();
  return shares[0];
}

@compute @workgroup_size(workgroup_size)
fn parts(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var share = 0.0;
  for (var index = group.x * workgroup_size + lane; index < args.count; index += args.parts * workgroup_size) {
    let value = input[args.input_offset + index];
    share = fma(value, value, share);
  }
  let sum = sum_of(share, lane);
  if (lane == 0u) {
    output[args.output_offset + group.x] = sum;
  }
}

@compute @workgroup_size(workgroup_size)
fn total(@builtin(local_invocation_index) lane: u32) {
  var share = 0.0;
  for (var index = lane; index < args.count; index += workgroup_size) {
    share += input[args.input_offset + index];
  }
  let sum = sum_of(share, lane);
  if (lane == 0u) {
    output[args.output_offset] = sum;
  }
}
