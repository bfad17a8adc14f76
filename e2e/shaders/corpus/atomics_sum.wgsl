// grid 9 1 1
// Counts twice if any workgroup runs twice.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
@group(0) @binding(2) var<storage, read_write> s: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i < id.x % 5u + 1u; i++) { atomicAdd(&s[i], id.x); atomicMax(&s[8], id.x * i); atomicXor(&s[9], id.x); }
  r[id.x] = id.x;
}
