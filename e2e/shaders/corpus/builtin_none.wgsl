// grid 10 2 1
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> r: array<u32>;
@group(0) @binding(2) var<storage, read_write> s: array<atomic<u32>>;

@compute @workgroup_size(32)
fn main() {
  atomicAdd(&s[0], 1u);
}
