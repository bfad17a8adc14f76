// Right as NT has it: four steps of a column lie together.

@group(0) @binding(2) var<storage, read> right: array<vec4f>;

// Where each of four columns begins. Beyond the edge the last one is read again.
fn right_starts(column: u32) -> vec4u {
  let columns = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(args.columns - 1u));
  return (args.right_offset + columns * args.inner) / 4u;
}

// Four steps, each with the block's four columns.
fn right_block(starts: vec4u, step: u32) -> mat4x4f {
  let at = starts + step / 4u;
  return transpose(mat4x4f(right[at.x], right[at.y], right[at.z], right[at.w]));
}
