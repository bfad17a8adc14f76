// A unit that does nothing, for the suite `hub`: what is left is the way to the unit and back.
@group(0) @binding(0) var<storage, read_write> nothing: array<u32>;

@compute @workgroup_size(1)
fn main() {
  nothing[0] = 1u;
}
