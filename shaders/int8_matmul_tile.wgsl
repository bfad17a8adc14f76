// A workgroup of 16 x 16 makes 64 x 64 outputs; eight words of each of the tile's rows and columns lie in shared memory, by
// columns of the tile so that neighbours read neighbouring banks.

override workgroup_size: u32 = 256;

// [word][row or column of the tile].
var<workgroup> tile_input: array<u32, 512>;
var<workgroup> tile_weight: array<u32, 512>;

// Words of row or column `own` of the tile from `first_word` on, zeros from `word_end` on.
fn load(first_row: u32, first_column: u32, first_word: u32, word_end: u32, lane: u32) {
  let own = lane % 64u;
  let input_start = row_start(first_row + own);
  let weight_start = weight_starts(vec4u(first_column + own)).x;
  for (var word = lane / 64u; word < 8u; word += 4u) {
    let at = first_word + word;
    let inside = at < word_end;
    let place = select(0u, at, inside);
    tile_input[word * 64u + own] = select(0u, input[input_start + place], inside);
    tile_weight[word * 64u + own] = select(0u, weight[weight_start + place], inside);
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
  let row = first_row + lane / 16u;
  let columns = vec4u(first_column + lane % 16u) + vec4u(0u, 16u, 32u, 48u);
  let scales_start = scale_starts(columns);
  var total0 = vec4f();
  var total1 = vec4f();
  var total2 = vec4f();
  var total3 = vec4f();
  for (var block = 0u; block < args.blocks; block++) {
    let word_end = min(args.words, (block + 1u) * args.block_words);
    var sums0 = vec4i();
    var sums1 = vec4i();
    var sums2 = vec4i();
    var sums3 = vec4i();
    for (var first_word = block * args.block_words; first_word < word_end; first_word += 8u) {
      workgroupBarrier();
      load(first_row, first_column, first_word, word_end, lane);
      workgroupBarrier();
      for (var word = 0u; word < 8u; word++) {
        let at = word * 64u + lane % 16u;
        let words = vec4u(tile_weight[at], tile_weight[at + 16u], tile_weight[at + 32u], tile_weight[at + 48u]);
        let left = word * 64u + lane / 16u;
        sums0 = add_word(tile_input[left + 0u], words, sums0);
        sums1 = add_word(tile_input[left + 16u], words, sums1);
        sums2 = add_word(tile_input[left + 32u], words, sums2);
        sums3 = add_word(tile_input[left + 48u], words, sums3);
      }
    }
    let scales = scales_at(scales_start + block);
    total0 = add_block(row + 0u, block, scales, sums0, total0);
    total1 = add_block(row + 16u, block, scales, sums1, total1);
    total2 = add_block(row + 32u, block, scales, sums2, total2);
    total3 = add_block(row + 48u, block, scales, sums3, total3);
  }
  store(row + 0u, columns, total0);
  store(row + 16u, columns, total1);
  store(row + 32u, columns, total2);
  store(row + 48u, columns, total3);
}
