// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var i = id.x % 5u;
  var sum = 0u;
  loop {
    sum = sum * 3u + i;
    continuing {
      i++;
      break if i >= 12u;
    }
  }
  r[id.x] = sum;
}
