// Left as TN has it: four rows of a step lie together. Each of four neighbours reads one step of a block for all four.

@group(0) @binding(1) var<storage, read> left: array<vec4f>;

// Where the block of four rows begins. Beyond the edge the last four rows are read again.
fn left_start(row: u32, lane: u32) -> u32 {
  return (args.left_offset + min(row, args.rows - 4u)) / 4u + lane * (args.rows / 4u);
}

// The block's four rows, each with four steps.
fn left_block(start: u32, step: u32, lane: u32) -> mat4x4f {
  return transpose(of_quad(left[start + step * (args.rows / 4u)]));
}
