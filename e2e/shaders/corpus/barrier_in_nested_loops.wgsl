// grid 5 1 1
// A bitonic sort: barriers in two loops.
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
var<workgroup> t: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) group: vec3u) {
  t[l] = a[(l * 7u + group.x) % 256u];
  workgroupBarrier();
  for (var k = 2u; k <= 64u; k <<= 1u) {
    for (var j = k >> 1u; j > 0u; j >>= 1u) {
      let o = l ^ j;
      let swap = (l < o) && ((t[l] > t[o]) == ((l & k) == 0u));
      let mine = t[l];
      let other = t[o];
      workgroupBarrier();
      if (swap) { t[l] = other; t[o] = mine; }
      workgroupBarrier();
    }
  }
  r[group.x * 64u + l] = t[l];
}
