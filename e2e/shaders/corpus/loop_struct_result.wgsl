// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
struct Pair { x: u32, y: u32 }
fn last(n: u32) -> Pair {
  var p = Pair(0u, 1u);
  loop {
    if (p.y > n) { return p; }
    p = Pair(p.y, p.x + p.y);
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let p = last(id.x);
  r[id.x] = p.x * 100u + p.y;
}
