// One axis of a transform of chunks [height, width] by a basis: output[.., i, ..] = sum over j of input[.., j, ..] * basis[j, i] (or
// basis[i, j] when `backward`). Chunks lie in a matrix or one after the other, as the strides tell. An invocation makes four
// neighbours along the axis, which share what is read.

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  basis_offset: u32,
  output_offset: u32,
  chunks: u32,
  chunks_across: u32,
  length: u32,
  lines: u32,
  backward: u32,
  input_chunk_row: u32,
  input_chunk_column: u32,
  input_line: u32,
  input_element: u32,
  output_chunk_row: u32,
  output_chunk_column: u32,
  output_line: u32,
  output_element: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> basis: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.length + 3u) / 4u;
  let line = index / quarter;
  let chunk = line / args.lines;
  if (chunk >= args.chunks) {
    return;
  }
  let chunk_row = chunk / args.chunks_across;
  let chunk_column = chunk % args.chunks_across;
  let own_line = line % args.lines;
  let first = index % quarter * 4u;
  // Beyond the edge, the last is read again and not stored.
  let own = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(args.length - 1u));
  let along = select(args.length, 1u, args.backward != 0u);
  var at = args.basis_offset + own * select(1u, args.length, args.backward != 0u);
  var place = args.input_offset + chunk_row * args.input_chunk_row + chunk_column * args.input_chunk_column;
  place += own_line * args.input_line;
  var sum = vec4f();
  for (var step = 0u; step < args.length; step++) {
    sum = fma(vec4f(input[place]), vec4f(basis[at.x], basis[at.y], basis[at.z], basis[at.w]), sum);
    place += args.input_element;
    at += vec4u(along);
  }
  var target_start = args.output_offset + chunk_row * args.output_chunk_row + chunk_column * args.output_chunk_column;
  target_start += own_line * args.output_line;
  for (var step = 0u; step < 4u; step++) {
    if (first + step < args.length) {
      output[target_start + (first + step) * args.output_element] = sum[step];
    }
  }
}
