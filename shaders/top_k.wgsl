// Of each chunk the k elements of largest magnitude, the largest first, equals by their place, NaN before all. Magnitudes are
// compared as bits. One invocation a chunk, which keeps the best so far in order: few elements change it.

override workgroup_size: u32 = 64;

struct Arguments {
  values_offset: u32,
  indices_offset: u32,
  chosen_offset: u32,
  chunks: u32,
  size: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read_write> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let chunk = global.y * groups.x * workgroup_size + global.x;
  if (chunk >= args.chunks) {
    return;
  }
  var keys: array<u32, 64>;
  var places: array<u32, 64>;
  let start = args.values_offset + chunk * args.size;
  for (var element = 0u; element < args.size; element++) {
    // One more than the magnitude, so that zero is better than nothing.
    let key = (values[start + element] & 0x7fffffffu) + 1u;
    if (key <= keys[args.k - 1u]) {
      continue;
    }
    var slot = args.k - 1u;
    while (slot > 0u && keys[slot - 1u] < key) {
      keys[slot] = keys[slot - 1u];
      places[slot] = places[slot - 1u];
      slot -= 1u;
    }
    keys[slot] = key;
    places[slot] = element;
  }
  for (var slot = 0u; slot < args.k; slot++) {
    let place = chunk * args.k + slot;
    indices[args.indices_offset + place] = places[slot];
    chosen[args.chosen_offset + place] = values[start + places[slot]];
  }
}
