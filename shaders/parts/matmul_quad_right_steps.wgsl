// Right as NN and TN have it: four columns of a step lie together.

@group(0) @binding(2) var<storage, read> right: array<vec4f>;

// Where the block of four columns begins at each of the first four steps. Beyond the edge the last four are read again.
fn right_starts(column: u32) -> vec4u {
  let first = (args.right_offset + min(column, args.columns - 4u)) / 4u;
  return vec4u(first) + vec4u(0u, 1u, 2u, 3u) * (args.columns / 4u);
}

// Four steps, each with the block's four columns.
fn right_block(starts: vec4u, step: u32) -> mat4x4f {
  let at = starts + step * (args.columns / 4u);
  return mat4x4f(right[at.x], right[at.y], right[at.z], right[at.w]);
}
