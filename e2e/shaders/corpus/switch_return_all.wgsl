// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
fn pick(x: u32) -> u32 {
  switch x & 3u {
    case 0u: { var i = x; loop { i += 7u; if (i > 99u) { return i; } } }
    case 1u: { return x * 2u; }
    default: { return 5u; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  r[id.x] = pick(id.x);
}
