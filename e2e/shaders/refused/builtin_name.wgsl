// A name of WGSL that the rewritten lines need.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

fn atomicLoad(n: u32) -> u32 {
  return n;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = 1u;
}
