// Right as NT has it, in halves: four steps of a column lie together in two words.

@group(0) @binding(2) var<storage, read> right: array<vec2u>;

// Where each of four columns begins. Beyond the edge the last one is read again.
fn right_starts(column: u32) -> vec4u {
  let columns = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(args.columns - 1u));
  return (args.right_offset + columns * args.inner) / 4u;
}

fn unpacked(words: vec2u) -> vec4f {
  return vec4f(unpack2x16float(words.x), unpack2x16float(words.y));
}

// Four steps, each with the block's four columns.
fn right_block(starts: vec4u, step: u32) -> mat4x4f {
  let at = starts + step / 4u;
  return transpose(mat4x4f(unpacked(right[at.x]), unpacked(right[at.y]), unpacked(right[at.z]), unpacked(right[at.w])));
}
