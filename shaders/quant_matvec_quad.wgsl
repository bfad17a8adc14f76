// For adapters on which loads cost most and shifts much, software ones above all: an invocation makes eight columns, an
// eighth of all apart, of one row, and four neighbours, who make the same row, load its inputs for one another. A quant is
// cut out of its word by a mask alone and stays where it is: as a number it is 2^place too large, and the input that it
// meets is made as much smaller beforehand, which is exact. Two blocks share a word of scales, so inner is a multiple of 64.

override workgroup_size: u32 = 16;

// Where the bytes of a word stand, as powers of two; the high nibbles of q4_0 stand four higher.
const places = vec4f(1.0, 0x1p-8, 0x1p-16, 0x1p-24);
const low_nibbles = vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u);
const high_nibbles = vec4u(0xf0u, 0xf000u, 0xf00000u, 0xf0000000u);
const bytes = vec4u(0xffu, 0xff00u, 0xff0000u, 0xff000000u);

// A block's inputs by four, made smaller. Only the quant on top of a word keeps its sign; the others are turned to count
// from 0 instead of -8 or -128, and `correction` is what they then add too much.
struct Inputs {
  correction: f32,
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
  let first = input[place];
  let second = input[place + 4u];
  var sum = (first.x + first.y) + first.z + (second.x + second.y) + second.z;
  if (bits == 4u) {
    sum += first.w;
  }
  sum += quadSwapX(sum);
  sum += quadSwapY(sum);
  let low = first * places;
  let high = second * places * select(1.0, 0.0625, bits == 4u);
  return Inputs(
    sum * select(-128.0, -8.0, bits == 4u),
    quadBroadcast(low, 0u),
    quadBroadcast(low, 1u),
    quadBroadcast(low, 2u),
    quadBroadcast(low, 3u),
    quadBroadcast(high, 0u),
    quadBroadcast(high, 1u),
    quadBroadcast(high, 2u),
    quadBroadcast(high, 3u),
  );
}

// Sum plus those quants of a word that the masks leave, times their inputs.
fn add(word: u32, masks: vec4u, x: vec4f, sum: f32) -> f32 {
  let q = vec4f(bitcast<vec4i>(vec4u(word) & masks));
  return fma(q.w, x.w, fma(q.z, x.z, fma(q.y, x.y, fma(q.x, x.x, sum))));
}

fn add_nibbles(word: u32, low: vec4f, high: vec4f, sum: f32) -> f32 {
  return add(word, high_nibbles, high, add(word, low_nibbles, low, sum));
}

fn add_bytes(words: vec4u, x0: vec4f, x1: vec4f, x2: vec4f, x3: vec4f, sum: f32) -> f32 {
  return add(words.w, bytes, x3, add(words.z, bytes, x2, add(words.y, bytes, x1, add(words.x, bytes, x0, sum))));
}

// The quants from `place` on times a block's inputs.
fn block_sum(place: u32, x: Inputs) -> f32 {
  if (bits == 8u) {
    let first = add_bytes(quants[place] ^ vec4u(0x808080u), x.x0, x.x1, x.x2, x.x3, x.correction);
    return add_bytes(quants[place + 1u] ^ vec4u(0x808080u), x.x4, x.x5, x.x6, x.x7, first);
  }
  let words = quants[place] ^ vec4u(0x8888888u);
  let first = add_nibbles(words.y, x.x1, x.x5, add_nibbles(words.x, x.x0, x.x4, x.correction));
  return add_nibbles(words.w, x.x3, x.x7, add_nibbles(words.z, x.x2, x.x6, first));
}

fn block_sums(place: vec4u, x: Inputs) -> vec4f {
  return vec4f(block_sum(place.x, x), block_sum(place.y, x), block_sum(place.z, x), block_sum(place.w, x));
}

// Totals of four columns plus two blocks of each.
fn add_blocks(place: vec4u, scale_place: vec4u, first: Inputs, second: Inputs, totals: vec4f) -> vec4f {
  let x = unpack2x16float(scales[scale_place.x]);
  let y = unpack2x16float(scales[scale_place.y]);
  let z = unpack2x16float(scales[scale_place.z]);
  let w = unpack2x16float(scales[scale_place.w]);
  let one = fma(block_sums(place, first), vec4f(x.x, y.x, z.x, w.x), totals);
  return fma(block_sums(place + vec4u(bits / 4u), second), vec4f(x.y, y.y, z.y, w.y), one);
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(global_invocation_id) global: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(subgroup_invocation_id) invocation: u32,
) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let eighth = (args.columns + 7u) / 8u;
  // A row's share is filled up to a multiple of four, so that neighbours share a row; those beyond the edge work along.
  let filled = (eighth + 3u) / 4u * 4u;
  let row = index / filled;
  let own = index % filled;
  let columns_low = vec4u(own) + vec4u(0u, 1u, 2u, 3u) * eighth;
  let columns_high = columns_low + vec4u(4u * eighth);
  let block_low = min(columns_low, vec4u(args.columns - 1u)) * args.blocks;
  let block_high = min(columns_high, vec4u(args.columns - 1u)) * args.blocks;
  var place_low = args.quants_offset / 4u + block_low * (bits / 4u);
  var place_high = args.quants_offset / 4u + block_high * (bits / 4u);
  let scales_low = args.scales_offset + block_low / 2u;
  let scales_high = args.scales_offset + block_high / 2u;
  let start = args.input_offset / 4u + min(row, args.rows - 1u) * args.blocks * 8u + invocation % 4u;
  var totals_low = vec4f();
  var totals_high = vec4f();
  for (var pair = 0u; pair < args.blocks / 2u; pair++) {
    let first = inputs_at(start + 16u * pair);
    let second = inputs_at(start + 16u * pair + 8u);
    totals_low = add_blocks(place_low, scales_low + vec4u(pair), first, second, totals_low);
    totals_high = add_blocks(place_high, scales_high + vec4u(pair), first, second, totals_high);
    place_low += vec4u(bits / 2u);
    place_high += vec4u(bits / 2u);
  }
  if (own < eighth) {
    store_four(row, columns_low, totals_low);
    store_four(row, columns_high, totals_high);
  }
}
