// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var low = 0u;
  var high = 4096u;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (middle * middle < id.x * 1234u) { low = middle + 1u; } else { high = middle; }
  }
  r[id.x] = low;
}
