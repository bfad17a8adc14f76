// grid 4 1 1
// The function ends in a loop that only a return leaves.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn root(x: u32) -> u32 {
  var i = 0u;
  loop {
    if ((i + 1u) * (i + 1u) > x) { return i; }
    i++;
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = root(id.x * 17u);
}
