// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  var i = 0u;
  while (i < 15u) {
    i++;
    switch i {
      case 4u: { break; }
      case 5u, default: { sum += i; if (sum > 40u) { break; } sum++; }
    }
  }
  r[id.x] = sum + id.x;
}
