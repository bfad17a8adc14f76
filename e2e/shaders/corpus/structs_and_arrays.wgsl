// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
struct Inner { total: u32, }
struct Shape { edges: array<u32, 4>, inner: Inner, count: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var s: Shape;
  for (var i = 0u; i < 4u; i++) { s.edges[i] = a[(id.x + i) % 256u] % 100u; s.inner.total += s.edges[i]; }
  var best = 0u;
  for (var i = 0u; i < s.count + 4u; i++) { best = max(best, s.edges[i]); }
  r[id.x] = best * 1000u + s.inner.total;
}
