// grid 5 6 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
alias In = Inputs;
struct Inputs { @builtin(workgroup_id) group: vec3u }

@compute @workgroup_size(8)
fn main(in: In, @builtin(global_invocation_id) id: vec3u) {
  r[id.x + 40u * in.group.y] = in.group.x + id.y * 7u;
}
