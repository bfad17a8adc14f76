// An invocation makes four columns, a quarter of all apart, of one row, so that each input is read once for four weights.
// Each sum is that of its blocks' sums.

override workgroup_size: u32 = 64;

fn four_at(place: u32) -> vec4f {
  return vec4f(input[place], input[place + 1u], input[place + 2u], input[place + 3u]);
}

// Sum plus four quants times their inputs.
fn add(q: vec4f, x: vec4f, sum: f32) -> f32 {
  return fma(q.w, x.w, fma(q.z, x.z, fma(q.y, x.y, fma(q.x, x.x, sum))));
}

fn add_nibbles(word: u32, x_low: vec4f, x_high: vec4f, sum: f32) -> f32 {
  return add(high_nibbles(word), x_high, add(low_nibbles(word), x_low, sum));
}

// Sums of four columns plus one word of each times the inputs that belong to it.
fn add_words(place: vec4u, at: u32, sums: vec4f) -> vec4f {
  let x = four_at(at);
  let words = vec4u(quants[place.x], quants[place.y], quants[place.z], quants[place.w]);
  if (bits == 8u) {
    return vec4f(
      add(bytes(words.x), x, sums.x),
      add(bytes(words.y), x, sums.y),
      add(bytes(words.z), x, sums.z),
      add(bytes(words.w), x, sums.w),
    );
  }
  let x_high = four_at(at + 16u);
  return vec4f(
    add_nibbles(words.x, x, x_high, sums.x),
    add_nibbles(words.y, x, x_high, sums.y),
    add_nibbles(words.z, x, x_high, sums.z),
    add_nibbles(words.w, x, x_high, sums.w),
  );
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let row = index / quarter;
  if (row >= args.rows) {
    return;
  }
  let words_of_block = select(8u, 4u, bits == 4u);
  let columns = vec4u(index % quarter) + vec4u(0u, 1u, 2u, 3u) * quarter;
  // Beyond the edge, the last column is read again and not stored.
  var block = min(columns, vec4u(args.columns - 1u)) * args.blocks;
  var place = args.quants_offset + block * words_of_block;
  var at = args.input_offset + row * args.blocks * 32u;
  var totals = vec4f();
  for (var step = 0u; step < args.blocks; step++) {
    var sums = add_words(place, at, vec4f());
    sums = add_words(place + 1u, at + 4u, sums);
    sums = add_words(place + 2u, at + 8u, sums);
    sums = add_words(place + 3u, at + 12u, sums);
    if (bits == 8u) {
      sums = add_words(place + 4u, at + 16u, sums);
      sums = add_words(place + 5u, at + 20u, sums);
      sums = add_words(place + 6u, at + 24u, sums);
      sums = add_words(place + 7u, at + 28u, sums);
    }
    let scale = vec4f(scale_of(block.x), scale_of(block.y), scale_of(block.z), scale_of(block.w));
    totals = fma(sums, scale, totals);
    block += vec4u(1u);
    place += vec4u(words_of_block);
    at += 32u;
  }
  store_four(row, columns, totals);
}
