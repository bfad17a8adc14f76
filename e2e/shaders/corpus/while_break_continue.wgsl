// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var i = 0u;
  var sum = 0u;
  while (true) {
    i++;
    if (i == 7u) { continue; }
    if (i > 30u + id.x % 5u) { break; }
    sum += i * id.x;
  }
  r[id.x] = sum;
}
