// Not WGSL.
@group(0) @binding(0) var<storage, read_write> r: array<u32>;

fn main( {
