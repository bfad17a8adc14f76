// The last word of a large input: the input has to travel, and hardly anything is computed.

@group(0) @binding(0) var<storage, read> large: array<u32>;
@group(0) @binding(1) var<storage, read_write> found: array<u32>;

@compute @workgroup_size(1)
fn main() {
  found[0] = large[arrayLength(&large) - 1u];
}
