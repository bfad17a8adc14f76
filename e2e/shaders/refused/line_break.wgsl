// The remark holds U+2028, a line break that only some compilers see: what follows is a loop to them alone.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  //   loop { r[id.x] += 1u; }
}
