// Between the projections and attention: turns the queries of packed rows [heads of query, of key, of value] in place, and
// puts the turned keys and the values at their position in the pages of their sequence: [page, position, keys then values].
// Rows and pages are told as to attention (`attention_decode_arguments`). One invocation a pair.

override workgroup_size: u32 = 64;

struct Arguments {
  table_offset: u32,
  places_offset: u32,
  pages_offset: u32,
  values_offset: u32,
  cache_offset: u32,
  rows: u32,
  advance: u32,
  page_tokens: u32,
  pages_each: u32,
  heads: u32,
  kv_heads: u32,
  head_size: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> pages: array<u32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let half = args.head_size / 2u;
  let row_heads = args.heads + 2u * args.kv_heads;
  if (index >= args.rows * row_heads * half) {
    return;
  }
  let pair = index % half;
  let head = index / half % row_heads;
  let row = index / (half * row_heads);
  let position = places[args.places_offset + 2u * row + 1u] + args.advance;
  let place = args.values_offset + index * 2u;
  var first = values[place];
  var second = values[place + 1u];
  if (head < args.heads + args.kv_heads) {
    let angle = args.table_offset + (position * half + pair) * 2u;
    let cosine = table[angle];
    let sine = table[angle + 1u];
    let turned = first * cosine - second * sine;
    second = first * sine + second * cosine;
    first = turned;
  }
  if (head < args.heads) {
    values[place] = first;
    values[place + 1u] = second;
  } else {
    let slot = places[args.places_offset + 2u * row];
    let page = pages[args.pages_offset + slot * args.pages_each + position / args.page_tokens];
    let stored = page * args.page_tokens + position % args.page_tokens;
    let kept = stored * 2u * args.kv_heads + head - args.heads;
    let to = args.cache_offset + kept * args.head_size + pair * 2u;
    cache[to] = first;
    cache[to + 1u] = second;
  }
}
