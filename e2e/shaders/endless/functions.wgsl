// Functions with endless loops that call functions with endless loops.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

fn inner(n: u32) {
  while (n >= 0u) {
    r[n % 256u] += 1u;
  }
}

fn outer(n: u32) {
  while (true) {
    inner(n);
    inner(n);
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  for (var i = 0u; i < 4000000000u; i++) {
    outer(i);
  }
}
