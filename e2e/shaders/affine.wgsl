// Adds and multiplies: output[i] = input[i] * factor + offset.
override factor: f32 = 1;

struct Settings { count: u32, offset: f32 }

@group(0) @binding(0) var<uniform> settings: Settings;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> target_values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= settings.count) { return; }
  target_values[id.x] = source[id.x] * factor + settings.offset;
}
