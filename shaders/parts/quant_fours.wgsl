// Inputs and quants are read by four: offsets are multiples of four, and a q4_0 block's quants are one load.

@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> quants: array<vec4u>;
