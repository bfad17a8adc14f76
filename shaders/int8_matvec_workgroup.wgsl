// output[row, column] = sum over blocks of input_scale * weight_scale * (input . weight), four int8 in each word. A workgroup makes
// four columns of one row: neighbouring invocations read neighbouring words, and their sums meet in a tree of shared memory.

requires packed_4x8_integer_dot_product;

override workgroup_size: u32 = 64;

struct Arguments {
  input_offset: u32,
  input_scales_offset: u32,
  weight_offset: u32,
  weight_scales_offset: u32,
  output_offset: u32,
  rows: u32,
  columns: u32,
  words: u32,
  block_words: u32,
  blocks: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> input_scales: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<u32>;
@group(0) @binding(4) var<storage, read> weight_scales: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

var<workgroup> shares: array<vec4f, workgroup_size>;

// This invocation's share: every workgroup_size-th word, scaled at once.
fn share(row: u32, first_column: u32, lane: u32) -> vec4f {
  // Beyond the edge, the last column is read again and not stored.
  let inside = min(vec4u(first_column) + vec4u(0u, 1u, 2u, 3u), vec4u(args.columns - 1u));
  let weight_start = args.weight_offset + inside * args.words;
  let scales_start = args.weight_scales_offset + inside * args.blocks;
  let start = args.input_offset + row * args.words;
  let input_scales_start = args.input_scales_offset + row * args.blocks;
  var total = vec4f();
  for (var word = lane; word < args.words; word += workgroup_size) {
    let block = word / args.block_words;
    let from_input = input[start + word];
    let sums = vec4i(
      dot4I8Packed(from_input, weight[weight_start.x + word]),
      dot4I8Packed(from_input, weight[weight_start.y + word]),
      dot4I8Packed(from_input, weight[weight_start.z + word]),
      dot4I8Packed(from_input, weight[weight_start.w + word]),
    );
    let place = scales_start + block;
    let scales = vec4f(
      weight_scales[place.x],
      weight_scales[place.y],
      weight_scales[place.z],
      weight_scales[place.w],
    );
    total = fma(vec4f(sums), input_scales[input_scales_start + block] * scales, total);
  }
  return total;
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let quarter = (args.columns + 3u) / 4u;
  let row = index / quarter;
  let first_column = index % quarter * 4u;
  if (row >= args.rows) {
    return;
  }
  shares[lane] = share(row, first_column, lane);
  for (var half = workgroup_size / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      shares[lane] += shares[lane + half];
    }
  }
  workgroupBarrier();
  if (lane < 4u && first_column + lane < args.columns) {
    output[args.output_offset + row * args.columns + first_column + lane] = shares[0][lane];
  }
}
