// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn find(start: u32) -> u32 {
  for (var i = start; i < start + 300u; i++) {
    if (a[i % 256u] % 11u == 3u) { return i; }
  }
  return 4000000000u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = find(id.x);
}
