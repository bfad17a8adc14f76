// A name that the rewriter keeps for itself.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let tabswarm_left = id.x;
  r[id.x] = tabswarm_left;
}
