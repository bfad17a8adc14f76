// Counts how many rounds of one loop an adapter really makes. Invocations leave it one after another, as adapters that
// end loops count for a whole vector of them; the numbers come out of a chain that no compiler foresees.
@group(0) @binding(0) var<storage, read_write> rounds: array<u32, 16>;
@group(0) @binding(1) var<storage, read_write> values: array<u32, 16>;

@compute @workgroup_size(16)
fn main(@builtin(local_invocation_index) lane: u32) {
  let wanted = rounds[lane];
  var value = lane + 1u;
  var made = 0u;
  loop {
    if (made >= wanted) {
      break;
    }
    value = value * 1664525u + 1013904223u;
    made++;
  }
  rounds[lane] = made;
  values[lane] = value;
}
