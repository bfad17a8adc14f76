// Two functions call each other.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

fn f(n: u32) -> u32 {
  loop {
    return g(n);
  }
}

fn g(n: u32) -> u32 {
  return f(n);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = f(id.x);
}
