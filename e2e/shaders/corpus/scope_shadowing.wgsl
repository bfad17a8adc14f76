// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = id.x;
  var sum = 0u;
  for (var x = 0u; x < 6u; x++) { let y = x; { let x = y + 1u; sum += x; } }
  r[id.x] = sum + x;
}
