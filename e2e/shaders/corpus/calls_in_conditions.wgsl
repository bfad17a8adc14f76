// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn weigh(n: u32) -> u32 { var s = 0u; var i = n; while (i > 0u) { s += i % 10u; i = i / 2u; } return s; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var i = id.x;
  while (weigh(i) < 40u) { i++; }
  r[id.x] = i;
}
