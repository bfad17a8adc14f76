// grid 7 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin ( global_invocation_id ) // the place
  id : vec3 < u32 >
) {
  r[id . x] = id.x + 5u;
}
