// What every variant of `attention-decode.ts` is told and binds. Keys and values lie in pages of `page_tokens` positions, a
// multiple of four; `pages` says for each slot which page holds which stretch of its sequence, and `places` for each row
// its slot and its position before `advance` is added. Queries, keys and values are bound by `attention_decode_ones` or `_fours`.

struct Arguments {
  query_offset: u32,
  key_offset: u32,
  value_offset: u32,
  places_offset: u32,
  pages_offset: u32,
  output_offset: u32,
  rows: u32,
  advance: u32,
  page_tokens: u32,
  pages_each: u32,
  heads: u32,
  kv_heads: u32,
  head_size: u32,
  query_stride: u32,
  kv_stride: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(4) var<storage, read> places: array<u32>;
@group(0) @binding(5) var<storage, read> pages: array<u32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;

// Where in `pages` the stretches of this row's sequence begin.
fn first_page(row: u32) -> u32 {
  return args.pages_offset + places[args.places_offset + 2u * row] * args.pages_each;
}

// How many keys the row sees: its own position and all before.
fn keys_of(row: u32) -> u32 {
  return places[args.places_offset + 2u * row + 1u] + args.advance + 1u;
}

// The element of keys, and of values, where a position of this head starts.
fn element_of(sequence_pages: u32, position: u32, kv_head: u32) -> u32 {
  let page = pages[sequence_pages + position / args.page_tokens];
  return (page * args.page_tokens + position % args.page_tokens) * args.kv_stride + kv_head * args.head_size;
}
