enable subgroups;

// Left as TN has it: four rows of a step lie together. Each of four neighbours reads one step of a block for all four.

@group(0) @binding(1) var<storage, read> left: array<vec4f>;

// Where the block of four rows begins. Beyond the edge the last four rows are read again.
fn left_start(row: u32, lane: u32) -> u32 {
  return (args.left_offset + min(row, args.rows - 4u)) / 4u + lane * (args.rows / 4u);
}

fn of_neighbours(own: f32) -> vec4f {
  return vec4f(quadBroadcast(own, 0u), quadBroadcast(own, 1u), quadBroadcast(own, 2u), quadBroadcast(own, 3u));
}

// The block's four rows, each with four steps.
fn left_block(start: u32, step: u32, lane: u32) -> mat4x4f {
  let own = left[start + step * (args.rows / 4u)];
  return mat4x4f(of_neighbours(own.x), of_neighbours(own.y), of_neighbours(own.z), of_neighbours(own.w));
}
