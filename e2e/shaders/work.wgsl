// Work of a known length with a known end: `begin` takes the seeds and the unit's number, each `step` goes `rounds`
// links further along a chain that nobody can shorten on a GPU but that arithmetic on a CPU can (see support/work.ts).
override rounds: u32 = 1000;

@group(0) @binding(0) var<uniform> unit: vec4u;
@group(0) @binding(1) var<storage, read> seeds: array<u32, 4>;
@group(0) @binding(2) var<storage, read_write> values: array<u32, 4>;

@compute @workgroup_size(4)
fn begin(@builtin(global_invocation_id) id: vec3u) {
  values[id.x] = seeds[id.x] + unit.x;
}

@compute @workgroup_size(4)
fn step(@builtin(global_invocation_id) id: vec3u) {
  var value = values[id.x];
  for (var round = 0u; round < rounds; round++) {
    value = value * 1664525u + 1013904223u;
  }
  values[id.x] = value;
}
