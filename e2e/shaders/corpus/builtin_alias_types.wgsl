// grid 6 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
alias Place = vec3<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) place: Place, @builtin(workgroup_id,) which: Place,) {
  r[place.x] = place.x * 3u + which.x;
}
