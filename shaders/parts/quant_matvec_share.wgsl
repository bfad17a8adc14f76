// For GPUs, where a workgroup makes four columns of one row: an invocation's share of them. Neighbouring invocations read
// neighbouring blocks, whole.

override workgroup_size: u32 = 64;

// A block's inputs, by four.
struct Inputs {
  x0: vec4f,
  x1: vec4f,
  x2: vec4f,
  x3: vec4f,
  x4: vec4f,
  x5: vec4f,
  x6: vec4f,
  x7: vec4f,
}

fn inputs_at(place: u32) -> Inputs {
  return Inputs(
    input[place],
    input[place + 1u],
    input[place + 2u],
    input[place + 3u],
    input[place + 4u],
    input[place + 5u],
    input[place + 6u],
    input[place + 7u],
  );
}

// Sums plus the quants of four words, bytes of which belong to four inputs in a row.
fn add_bytes(words: vec4u, x0: vec4f, x1: vec4f, x2: vec4f, x3: vec4f, sums: vec4f) -> vec4f {
  let half = fma(bytes(words.y), x1, fma(bytes(words.x), x0, sums));
  return fma(bytes(words.w), x3, fma(bytes(words.z), x2, half));
}

// A column's sums plus those of one block.
fn add_block(block: u32, x: Inputs, sums: vec4f) -> vec4f {
  let place = args.quants_offset / 4u + block * (bits / 4u);
  let scale = vec4f(scale_of(block));
  let words = quants[place];
  if (bits == 8u) {
    let first = add_bytes(words, x.x0, x.x1, x.x2, x.x3, vec4f());
    return fma(add_bytes(quants[place + 1u], x.x4, x.x5, x.x6, x.x7, first), scale, sums);
  }
  let low0 = fma(low_nibbles(words.y), x.x1, low_nibbles(words.x) * x.x0);
  let low = fma(low_nibbles(words.w), x.x3, fma(low_nibbles(words.z), x.x2, low0));
  let high0 = fma(high_nibbles(words.y), x.x5, fma(high_nibbles(words.x), x.x4, low));
  return fma(fma(high_nibbles(words.w), x.x7, fma(high_nibbles(words.z), x.x6, high0)), scale, sums);
}

fn total(sums: vec4f) -> f32 {
  return (sums.x + sums.y) + (sums.z + sums.w);
}

// Of four columns of a row: every workgroup_size-th block.
fn share(row: u32, columns: vec4u, lane: u32) -> vec4f {
  // Beyond the edge, the last column is read again and not stored.
  let start = min(columns, vec4u(args.columns - 1u)) * args.blocks;
  let input_start = args.input_offset / 4u + row * args.blocks * 8u;
  var sums0 = vec4f();
  var sums1 = vec4f();
  var sums2 = vec4f();
  var sums3 = vec4f();
  for (var block = lane; block < args.blocks; block += workgroup_size) {
    let x = inputs_at(input_start + block * 8u);
    sums0 = add_block(start.x + block, x, sums0);
    sums1 = add_block(start.y + block, x, sums1);
    sums2 = add_block(start.z + block, x, sums2);
    sums3 = add_block(start.w + block, x, sums3);
  }
  return vec4f(total(sums0), total(sums1), total(sums2), total(sums3));
}
