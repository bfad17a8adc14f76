// grid 4 1 1
// Rounds that hand values around in storage.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  let base = group.x * 64u;
  r[base + l] = l;
  for (var i = 0u; i < 6u + a[0] * 0u; i++) {
    storageBarrier();
    let other = r[base + (l + 1u) % 64u];
    storageBarrier();
    r[base + l] = other * 3u + i;
  }
}
