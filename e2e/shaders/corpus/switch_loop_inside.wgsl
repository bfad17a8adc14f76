// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = 0u;
  switch id.x % 3u {
    case 0u: { for (var i = 0u; i < id.x; i++) { sum += i; } }
    case 1u: { loop { sum += 3u; if (sum > 50u) { break; } } }
    default: { }
  }
  r[id.x] = sum;
}
