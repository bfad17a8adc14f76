// For many rows: an invocation sums 8 rows of 4 columns, the columns a quarter of the width apart, so that a weight is
// unpacked once for eight rows.

override workgroup_size: u32 = 64;

fn four_at(place: u32) -> vec4f {
  return vec4f(input[place], input[place + 1u], input[place + 2u], input[place + 3u]);
}

// The word's bytes, or its low nibbles, or its high ones where `is_second`, as weights.
fn weights(word: u32, is_second: bool, scale: f32) -> vec4f {
  if (bits == 8u) {
    return bytes(word) * scale;
  }
  if (is_second) {
    return high_nibbles(word) * scale;
  }
  return low_nibbles(word) * scale;
}

// Four weights of each of four columns, as four vectors across the columns.
fn across(words: vec4u, is_second: bool, scales_of_columns: vec4f) -> mat4x4f {
  return transpose(mat4x4f(
    weights(words.x, is_second, scales_of_columns.x),
    weights(words.y, is_second, scales_of_columns.y),
    weights(words.z, is_second, scales_of_columns.z),
    weights(words.w, is_second, scales_of_columns.w),
  ));
}

fn add(at: u32, four: mat4x4f, sum: vec4f) -> vec4f {
  let x = four_at(at);
  return fma(vec4f(x.w), four[3], fma(vec4f(x.z), four[2], fma(vec4f(x.y), four[1], fma(vec4f(x.x), four[0], sum))));
}

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let quarter = (args.columns + 3u) / 4u;
  let first_row = index / quarter * 8u;
  if (first_row >= args.rows) {
    return;
  }
  let words_of_block = select(8u, 4u, bits == 4u);
  let columns = vec4u(index % quarter) + vec4u(0u, 1u, 2u, 3u) * quarter;
  // Beyond the edge, the last row and column are read again and not stored.
  let block = min(columns, vec4u(args.columns - 1u)) * args.blocks;
  let last_row = args.rows - 1u;
  let inner = args.blocks * 32u;
  let row0 = args.input_offset + min(first_row + 0u, last_row) * inner;
  let row1 = args.input_offset + min(first_row + 1u, last_row) * inner;
  let row2 = args.input_offset + min(first_row + 2u, last_row) * inner;
  let row3 = args.input_offset + min(first_row + 3u, last_row) * inner;
  let row4 = args.input_offset + min(first_row + 4u, last_row) * inner;
  let row5 = args.input_offset + min(first_row + 5u, last_row) * inner;
  let row6 = args.input_offset + min(first_row + 6u, last_row) * inner;
  let row7 = args.input_offset + min(first_row + 7u, last_row) * inner;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  var sum4 = vec4f();
  var sum5 = vec4f();
  var sum6 = vec4f();
  var sum7 = vec4f();
  for (var step = 0u; step < args.blocks * words_of_block; step++) {
    let own = block + vec4u(step / words_of_block);
    let scale = vec4f(scale_of(own.x), scale_of(own.y), scale_of(own.z), scale_of(own.w));
    let place = args.quants_offset + block * words_of_block + vec4u(step);
    let words = vec4u(quants[place.x], quants[place.y], quants[place.z], quants[place.w]);
    var at = step / words_of_block * 32u + step % words_of_block * 4u;
    let first = across(words, false, scale);
    sum0 = add(row0 + at, first, sum0);
    sum1 = add(row1 + at, first, sum1);
    sum2 = add(row2 + at, first, sum2);
    sum3 = add(row3 + at, first, sum3);
    sum4 = add(row4 + at, first, sum4);
    sum5 = add(row5 + at, first, sum5);
    sum6 = add(row6 + at, first, sum6);
    sum7 = add(row7 + at, first, sum7);
    if (bits == 4u) {
      at += 16u;
      let second = across(words, true, scale);
      sum0 = add(row0 + at, second, sum0);
      sum1 = add(row1 + at, second, sum1);
      sum2 = add(row2 + at, second, sum2);
      sum3 = add(row3 + at, second, sum3);
      sum4 = add(row4 + at, second, sum4);
      sum5 = add(row5 + at, second, sum5);
      sum6 = add(row6 + at, second, sum6);
      sum7 = add(row7 + at, second, sum7);
    }
  }
  store_four(first_row + 0u, columns, sum0);
  store_four(first_row + 1u, columns, sum1);
  store_four(first_row + 2u, columns, sum2);
  store_four(first_row + 3u, columns, sum3);
  store_four(first_row + 4u, columns, sum4);
  store_four(first_row + 5u, columns, sum5);
  store_four(first_row + 6u, columns, sum6);
  store_four(first_row + 7u, columns, sum7);
}
