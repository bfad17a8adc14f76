// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn grow(p: ptr<function, u32>, q: ptr<function, array<u32, 3>>) {
  while (*p < 500u) { *p = *p * 2u + (*q)[*p % 3u]; (*q)[1] += 1u; }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = id.x;
  var t = array<u32, 3>(1u, 2u, 3u);
  grow(&x, &t);
  r[id.x] = x + t[1];
}
