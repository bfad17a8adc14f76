// What WGSL leaves to an adapter about floats, element by element: how it divides, takes roots and exponentials, whether
// it fuses a product and a sum, in which order it adds four products, what it does with subnormal numbers. 16 results for
// each pair of inputs, compared by their bits between volunteers; none of them is right or wrong.

override workgroup_size: u32 = 64;

struct Arguments {
  left_offset: u32,
  right_offset: u32,
  output_offset: u32,
  count: u32,
  tiny: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  if (index >= args.count) {
    return;
  }
  let a = left[args.left_offset + index];
  let b = right[args.right_offset + index];
  let positive = abs(a) + 0.001;
  let place = args.output_offset + index * 16u;
  output[place] = a / b;
  output[place + 1u] = sqrt(positive);
  output[place + 2u] = inverseSqrt(positive);
  output[place + 3u] = exp(a);
  output[place + 4u] = exp2(a);
  output[place + 5u] = log(positive);
  output[place + 6u] = pow(positive, b);
  output[place + 7u] = tanh(a);
  output[place + 8u] = sin(a);
  output[place + 9u] = cos(b);
  output[place + 10u] = a * b + a;
  output[place + 11u] = fma(a, b, b);
  output[place + 12u] = dot(vec4f(a, b, a, b), vec4f(b, b, 0.1, 0.7));
  output[place + 13u] = a * args.tiny;
  output[place + 14u] = a * b - b * 0.3 + a * 0.7;
  output[place + 15u] = 1.0 / (1.0 + exp(-a * b));
}
