// For many rows: a workgroup of 16 x 16 makes 64 x 64 outputs; a block's inputs and unpacked weights of the tile lie in
// shared memory, by columns of the tile so that neighbours read neighbouring banks. Every output sums over `inner` in
// ascending order.

override workgroup_size: u32 = 256;

// [element of the block][row or column of the tile].
var<workgroup> tile_input: array<f32, 2048>;
var<workgroup> tile_weight: array<f32, 2048>;

// Row `own` of the tile's inputs, eight elements of the block from 8 * part.
fn load_input(first_row: u32, block: u32, own: u32, part: u32) {
  let row = min(first_row + own, args.rows - 1u);
  let at = args.input_offset + (row * args.blocks + block) * 32u + part * 8u;
  for (var element = 0u; element < 8u; element++) {
    tile_input[(part * 8u + element) * 64u + own] = input[at + element];
  }
}

// Four weights of column `own` of the tile, from this element of the block on.
fn put_weights(element: u32, own: u32, weights: vec4f) {
  for (var step = 0u; step < 4u; step++) {
    tile_weight[(element + step) * 64u + own] = weights[step];
  }
}

// Column `own` of the tile's weights: one word of nibbles or two words of bytes.
fn load_weight(first_column: u32, block: u32, own: u32, part: u32) {
  let from_block = min(first_column + own, args.columns - 1u) * args.blocks + block;
  let scale = scale_of(from_block);
  if (bits == 4u) {
    let word = quants[args.quants_offset + from_block * 4u + part];
    put_weights(part * 4u, own, low_nibbles(word) * scale);
    put_weights(part * 4u + 16u, own, high_nibbles(word) * scale);
  } else {
    let place = args.quants_offset + from_block * 8u + part * 2u;
    put_weights(part * 8u, own, bytes(quants[place]) * scale);
    put_weights(part * 8u + 4u, own, bytes(quants[place + 1u]) * scale);
  }
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.y * groups.x + group.x;
  let tiles_across = (args.columns + 63u) / 64u;
  let first_row = index / tiles_across * 64u;
  let first_column = index % tiles_across * 64u;
  if (first_row >= args.rows) {
    return;
  }
  // An invocation's rows and columns lie 16 apart.
  let own_row = lane / 16u;
  let own_column = lane % 16u;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var block = 0u; block < args.blocks; block++) {
    workgroupBarrier();
    load_input(first_row, block, lane % 64u, lane / 64u);
    load_weight(first_column, block, lane % 64u, lane / 64u);
    workgroupBarrier();
    for (var element = 0u; element < 32u; element++) {
      let at = element * 64u + own_column;
      let four = vec4f(tile_weight[at], tile_weight[at + 16u], tile_weight[at + 32u], tile_weight[at + 48u]);
      let left = element * 64u + own_row;
      sum0 = fma(vec4f(tile_input[left + 0u]), four, sum0);
      sum1 = fma(vec4f(tile_input[left + 16u]), four, sum1);
      sum2 = fma(vec4f(tile_input[left + 32u]), four, sum2);
      sum3 = fma(vec4f(tile_input[left + 48u]), four, sum3);
    }
  }
  for (var step = 0u; step < 4u; step++) {
    let column = first_column + own_column + step * 16u;
    store(first_row + own_row + 0u, column, sum0[step]);
    store(first_row + own_row + 16u, column, sum1[step]);
    store(first_row + own_row + 32u, column, sum2[step]);
    store(first_row + own_row + 48u, column, sum3[step]);
  }
}
