// Left as NN and NT have it: four steps of a row lie together. Each of four neighbours reads one row of a block for all four.

@group(0) @binding(1) var<storage, read> left: array<vec4f>;

// Where the block of four rows begins for this neighbour. Beyond the edge the last row is read again.
fn left_start(row: u32, lane: u32) -> u32 {
  return (args.left_offset + min(row + lane, args.rows - 1u) * args.inner) / 4u;
}

// The block's four rows, each with four steps.
fn left_block(start: u32, step: u32, lane: u32) -> mat4x4f {
  return of_quad(left[start + step / 4u]);
}
