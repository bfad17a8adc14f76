// One node of a reduce tree: adds four sums of each output in its group. How many outputs that are is the size of what
// it was given; the last group of a level may be shorter.

@group(0) @binding(0) var<storage, read> group: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> partial: vec4u;

@compute @workgroup_size(1)
fn main() {
  var sum = vec4u(0u);
  for (var index = 0u; index < arrayLength(&group); index++) {
    sum += group[index];
  }
  partial = sum;
}
