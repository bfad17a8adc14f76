// Never ends, as an even number is never 1; compilers refuse only loops without any way out.
@group(0) @binding(0) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  loop {
    result[id.x] += 2u;
    if (result[id.x] == 1u) {
      break;
    }
  }
}
