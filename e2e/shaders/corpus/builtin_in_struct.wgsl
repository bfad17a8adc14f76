// grid 5 6 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
struct Inputs {
  @builtin(local_invocation_index) at: u32,
  @builtin(global_invocation_id) place: vec3<u32>,
  @builtin(num_workgroups) many: vec3<u32>,
  @builtin(workgroup_id) group: vec3<u32>,
}
fn helper(in: Inputs) -> u32 { return in.group.x * 1000000u; }

@compute @workgroup_size(8)
fn main(in: Inputs) {
  r[(in.group.x + in.many.x * in.group.y) * 8u + in.at] = in.place.x + in.place.y * 1000u + helper(in);
}
