// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  for (var i = 0u; i < 12u; i++) {
    for (var j = 0u; j < 12u; j++) {
      if (j > i) { break; }
      sum += j + id.x;
    }
    sum *= 3u;
  }
  r[id.x] = sum;
}
