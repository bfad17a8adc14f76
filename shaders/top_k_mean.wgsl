// The chunks that messages of chosen elements stand for: an element is the mean of what those who sent it say, and 0 where nobody
// did. Messages are added in their order; one invocation an element, so no two write one place.

override workgroup_size: u32 = 64;

struct Arguments {
  indices_offset: u32,
  chosen_offset: u32,
  output_offset: u32,
  chunks: u32,
  size: u32,
  k: u32,
  messages: u32,
}

@group(0) @binding(0) var<uniform> args: Arguments;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> chosen: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(workgroup_size)
fn main(@builtin(global_invocation_id) global: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = global.y * groups.x * workgroup_size + global.x;
  let chunk = index / args.size;
  if (chunk >= args.chunks) {
    return;
  }
  let element = index % args.size;
  var sum = 0.0;
  var senders = 0u;
  for (var message = 0u; message < args.messages; message++) {
    let start = (message * args.chunks + chunk) * args.k;
    for (var slot = start; slot < start + args.k; slot++) {
      if (indices[args.indices_offset + slot] == element) {
        sum += chosen[args.chosen_offset + slot];
        senders += 1u;
      }
    }
  }
  output[args.output_offset + index] = sum / f32(max(senders, 1u));
}
