// Looks for the nonce whose SHA-256 is smallest, as proof of work does: each unit takes 16,384 nonces of its own. The
// message is `prefix` (48 bytes, the same for all units) and the nonce as four bytes, most significant first.
// Pass `scan` hashes, pass `collect` leaves the best of the unit, so the answer does not depend on who was faster.

override threshold_bits: u32 = 12;

const invocations = 1024u;
const nonces_each = 16u;

@group(0) @binding(0) var<uniform> unit: vec4u;
@group(0) @binding(1) var<storage, read> prefix: array<u32, 12>;
// The 64 round constants of SHA-256.
@group(0) @binding(2) var<storage, read> round_constants: array<u32, 64>;
// For each invocation: first word of its smallest hash, the nonce, how many hashes begin with `threshold_bits` zeros.
@group(0) @binding(3) var<storage, read_write> found: array<u32, 3072>;
// Of the unit: first word of the smallest hash, its nonce, how many passed the threshold.
@group(0) @binding(4) var<storage, read_write> best: array<u32, 3>;

fn rotate(x: u32, bits: u32) -> u32 {
  return (x >> bits) | (x << (32u - bits));
}

// The first word of the hash of prefix and nonce (FIPS 180-4, one block).
fn hash_word(nonce: u32) -> u32 {
  var schedule: array<u32, 16>;
  for (var index = 0; index < 12; index++) {
    schedule[index] = prefix[index];
  }
  schedule[12] = nonce;
  schedule[13] = 0x80000000u;
  schedule[14] = 0u;
  // The message's length in bits: 52 bytes.
  schedule[15] = 416u;
  var a = 0x6a09e667u;
  var b = 0xbb67ae85u;
  var c = 0x3c6ef372u;
  var d = 0xa54ff53au;
  var e = 0x510e527fu;
  var f = 0x9b05688cu;
  var g = 0x1f83d9abu;
  var h = 0x5be0cd19u;
  for (var round = 0; round < 64; round++) {
    let at = round & 15;
    if (round >= 16) {
      let near = schedule[(round + 14) & 15];
      let distant = schedule[(round + 1) & 15];
      let sigma1 = rotate(near, 17u) ^ rotate(near, 19u) ^ (near >> 10u);
      let sigma0 = rotate(distant, 7u) ^ rotate(distant, 18u) ^ (distant >> 3u);
      schedule[at] = schedule[at] + sigma0 + schedule[(round + 9) & 15] + sigma1;
    }
    let mixed_e = rotate(e, 6u) ^ rotate(e, 11u) ^ rotate(e, 25u);
    let choice = (e & f) ^ (~e & g);
    let first = h + mixed_e + choice + round_constants[round] + schedule[at];
    let mixed_a = rotate(a, 2u) ^ rotate(a, 13u) ^ rotate(a, 22u);
    let majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + mixed_a + majority;
  }
  return a + 0x6a09e667u;
}

@compute @workgroup_size(64)
fn scan(@builtin(global_invocation_id) id: vec3u) {
  let start = (unit.x * invocations + id.x) * nonces_each;
  var smallest = 0xffffffffu;
  var winner = start;
  var passed = 0u;
  for (var offset = 0u; offset < nonces_each; offset++) {
    let word = hash_word(start + offset);
    if (word < smallest) {
      smallest = word;
      winner = start + offset;
    }
    passed += select(0u, 1u, countLeadingZeros(word) >= threshold_bits);
  }
  found[id.x * 3u] = smallest;
  found[id.x * 3u + 1u] = winner;
  found[id.x * 3u + 2u] = passed;
}

@compute @workgroup_size(1)
fn collect() {
  var smallest = found[0];
  var winner = found[1];
  var passed = 0u;
  for (var index = 0u; index < invocations; index++) {
    if (found[index * 3u] < smallest) {
      smallest = found[index * 3u];
      winner = found[index * 3u + 1u];
    }
    passed += found[index * 3u + 2u];
  }
  best[0] = smallest;
  best[1] = winner;
  best[2] = passed;
}
