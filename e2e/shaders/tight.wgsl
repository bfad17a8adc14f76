// Two multiply-adds a round: about the least that a loop does, so what its budget costs here it costs nowhere else.
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> r: array<f32>;
override rounds: u32 = 20000u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = a[id.x];
  var y = a[id.x + 1u];
  for (var i = 0u; i < rounds; i++) {
    x = fma(x, 0.999, 0.5);
    y = fma(y, 0.998, x);
  }
  r[id.x] = x + y;
}
