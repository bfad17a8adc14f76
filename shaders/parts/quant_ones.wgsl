// Inputs and quants are read by single elements and words, at any offset.

@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> quants: array<u32>;
