// Sums of a workgroup in shared memory, four at once. The shader declares `workgroup_size`.

var<workgroup> shares: array<vec4f, workgroup_size>;

// The sum over the workgroup, a power of two in size, in a tree whose shape that size alone decides. Invocation 0 has it.
fn workgroup_sum(own: vec4f, lane: u32) -> vec4f {
  shares[lane] = own;
  for (var half = workgroup_size / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      shares[lane] += shares[lane + half];
    }
  }
  return shares[lane];
}
