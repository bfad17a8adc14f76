// Index of the largest value of each row, the lowest among equals. One workgroup a row.

override workgroup_size: u32 = 64;

struct Arguments {
  values_offset: u32,
  indices_offset: u32,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> indices: array<u32>;

var<workgroup> keys: array<u32, workgroup_size>;
var<workgroup> places: array<u32, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn main(
  @builtin(local_invocation_index) lane: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = group.y * groups.x + group.x;
  if (row >= args.rows) {
    return;
  }
  let start = args.values_offset + row * args.width;
  var best_key = 0u;
  var best_place = lane;
  for (var column = lane; column < args.width; column += workgroup_size) {
    let key = order_key(values[start + column]);
    if (key > best_key) {
      best_key = key;
      best_place = column;
    }
  }
  keys[lane] = best_key;
  places[lane] = best_place;
  workgroupBarrier();
  if (lane == 0u) {
    for (var other = 1u; other < min(workgroup_size, args.width); other++) {
      if (keys[other] > best_key || (keys[other] == best_key && places[other] < best_place)) {
        best_key = keys[other];
        best_place = places[other];
      }
    }
    indices[args.indices_offset + row] = best_place;
  }
}
