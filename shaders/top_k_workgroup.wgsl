// As top_k.wgsl, with a workgroup a chunk: each turn finds the best element that comes after the one before, in a tree of
// shared memory. Nothing is marked, as the order is total.

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

// Key and place of each invocation's best.
var<workgroup> best: array<vec2u, workgroup_size>;

fn comes_before(one: vec2u, other: vec2u) -> bool {
  return one.x > other.x || (one.x == other.x && one.y < other.y);
}

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let chunk = group.y * groups.x + group.x;
  if (chunk >= args.chunks) {
    return;
  }
  let start = args.values_offset + chunk * args.size;
  var previous = vec2u(0xffffffffu, 0u);
  for (var slot = 0u; slot < args.k; slot++) {
    var own = vec2u(0u, 0xffffffffu);
    for (var element = lane; element < args.size; element += workgroup_size) {
      // One more than the magnitude, so that zero is better than nothing.
      let candidate = vec2u((values[start + element] & 0x7fffffffu) + 1u, element);
      if (comes_before(previous, candidate) && comes_before(candidate, own)) {
        own = candidate;
      }
    }
    best[lane] = own;
    for (var half = workgroup_size / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane < half && comes_before(best[lane + half], best[lane])) {
        best[lane] = best[lane + half];
      }
    }
    previous = workgroupUniformLoad(&best[0]);
    if (lane == 0u) {
      let place = chunk * args.k + slot;
      indices[args.indices_offset + place] = previous.y;
      chosen[args.chosen_offset + place] = values[start + previous.y];
    }
  }
}
