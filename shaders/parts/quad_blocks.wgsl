// Blocks of four by four numbers for adapters on which loads cost most: four neighbours (a quad) load for one another.

enable subgroups;
// Loops may end at other times in other quads, and every neighbour of a quad takes part in what the quad shares.
diagnostic(off, subgroup_uniformity);

// The vectors of the four neighbours.
fn of_quad(own: vec4f) -> mat4x4f {
  return mat4x4f(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
}

fn add_steps(sum: vec4f, row: vec4f, steps: mat4x4f) -> vec4f {
  return fma(vec4f(row.w), steps[3], fma(vec4f(row.z), steps[2], fma(vec4f(row.y), steps[1], fma(vec4f(row.x), steps[0], sum))));
}

// Adds the product of four rows of four steps and four steps of four columns, in the order of the steps.
fn add_block(sums: mat4x4f, rows: mat4x4f, steps: mat4x4f) -> mat4x4f {
  return mat4x4f(
    add_steps(sums[0], rows[0], steps),
    add_steps(sums[1], rows[1], steps),
    add_steps(sums[2], rows[2], steps),
    add_steps(sums[3], rows[3], steps),
  );
}
