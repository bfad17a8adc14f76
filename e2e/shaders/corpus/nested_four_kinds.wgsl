// grid 4 1 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sum = id.x;
  for (var i = 0u; i < a[1] % 4u + 2u; i++) {
    var k = 0u;
    loop {
      var j = 0u;
      while (j < 3u) { for (var m = 0u; m < k; m++) { sum += m; } j++; }
      k++;
      if (k > 3u) { break; }
    }
  }
  r[id.x] = sum;
}
