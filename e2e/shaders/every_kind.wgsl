// Every kind of buffer that a job can bind, over several passes; no floating point that rounds, so results are exact.
override step_size: u32 = 1;

struct Unit { index: u32, count: u32, zero: vec2u }
struct Settings { scale: u32, shift: u32 }

@group(0) @binding(0) var<uniform> unit: Unit;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> own: array<u32>;
@group(0) @binding(3) var<uniform> settings: Settings;
@group(0) @binding(4) var<storage, read_write> work: array<u32>;
@group(0) @binding(5) var<storage, read_write> sums: array<u32>;
@group(0) @binding(7) var<storage, read_write> halves: array<f32>;

// work becomes source * scale + own + unit index.
@compute @workgroup_size(64)
fn start(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&work)) { return; }
  work[id.x] = source[id.x] * settings.scale + own[id.x % arrayLength(&own)] + unit.index;
}

// Every element takes its neighbour in; `repeat` makes it a chain whose links must see each other.
@compute @workgroup_size(1)
fn chain() {
  for (var index = 1u; index < arrayLength(&work); index++) {
    work[index] += work[index - 1u] * step_size;
  }
}

// Outputs gather over the rounds of the loop.
@compute @workgroup_size(64)
fn finish(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&sums)) { sums[id.x] += work[id.x] + settings.shift + unit.count; }
  if (id.x < arrayLength(&halves)) { halves[id.x] += 0.5 * f32(id.x); }
}
