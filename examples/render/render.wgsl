// One 64x32 tile of a path-traced picture, in whole numbers only: Q16 fixed point (65536 is 1.0) in i32, so that every
// adapter returns the same bits and one flipped bit is found. `render-truth.ts` is the same computation on the CPU.
// Not here: tone mapping and putting tiles together (`assemble.ts`), the scene (`scene.ts`, binding 1).

override samples: u32 = 32;

const one = 65536;
const width = 320;
const height = 192;
const tile_width = 64;
const tile_height = 32;
const tiles_across = 5;
const segments_max = 10;
const far = 150 * one;
// Rays start this far off the surface that they leave.
const lift = 160;
const header_words = 24;
const sphere_words = 8;

const matte = 0;
const mirror = 1;
const glass = 2;

@group(0) @binding(0) var<uniform> unit: vec4u;
// A header of 24 words (origin, right, up, forward, lens right, lens up, sun, 3 unused), then 8 words a sphere:
// centre, radius, colour, material.
@group(0) @binding(1) var<storage, read> scene: array<i32>;
// Mean linear radiance, Q16: red, green, blue of each pixel, rows from the top.
@group(0) @binding(2) var<storage, read_write> pixels: array<u32>;

struct Ray {
  origin: vec3i,
  direction: vec3i,
}

struct Hit {
  distance: i32,
  position: vec3i,
  normal: vec3i,
  color: vec3i,
  material: i32,
}

var<private> random_state: u32;

// (a * b) >> 16 of the 64-bit product, rounded down.
fn mul(a: i32, b: i32) -> i32 {
  let a_high = a >> 16;
  let b_high = b >> 16;
  let a_low = a & 0xffff;
  let b_low = b & 0xffff;
  let low = i32((u32(a_low) * u32(b_low)) >> 16u);
  return ((a_high * b_high) << 16) + a_high * b_low + a_low * b_high + low;
}

fn scale(v: vec3i, by: i32) -> vec3i {
  return vec3i(mul(v.x, by), mul(v.y, by), mul(v.z, by));
}

fn tint(v: vec3i, by: vec3i) -> vec3i {
  return vec3i(mul(v.x, by.x), mul(v.y, by.y), mul(v.z, by.z));
}

fn dot_fixed(a: vec3i, b: vec3i) -> i32 {
  return mul(a.x, b.x) + mul(a.y, b.y) + mul(a.z, b.z);
}

// Square root of a Q16 number, rounded down. The float only guesses: what it leaves of the radicand is counted in whole
// numbers (its low 32 bits do, as it is small), and the guess moved until it is right.
fn root(x: i32) -> i32 {
  let radicand = max(x, 0);
  var result = i32(sqrt(f32(radicand)) * 256.0);
  var left = (radicand << 16) - result * result;
  for (var step = 0; step < 64 && left < 0; step++) {
    result -= 1;
    left += 2 * result + 1;
  }
  for (var step = 0; step < 64 && left > 2 * result; step++) {
    left -= 2 * result + 1;
    result += 1;
  }
  return result;
}

// 1 / x for x above 2 / 65536.
fn inverse(x: i32) -> i32 {
  return i32(0xffffffffu / u32(max(x, 3)));
}

fn unit_vector(v: vec3i) -> vec3i {
  return scale(v, inverse(root(dot_fixed(v, v))));
}

// PCG: a linear congruential step, then an output permutation (O'Neill 2014).
fn random() -> u32 {
  random_state = random_state * 747796405u + 2891336453u;
  let word = ((random_state >> ((random_state >> 28u) + 4u)) ^ random_state) * 277803737u;
  return (word >> 22u) ^ word;
}

// In [0, 1).
fn random_fraction() -> i32 {
  return i32(random() >> 16u);
}

// In the unit ball, by rejection; four misses in a row (5 %) settle for a point near the middle.
fn random_in_ball() -> vec3i {
  var point = vec3i(0);
  for (var attempt = 0; attempt < 4; attempt++) {
    let x = i32(random() >> 15u) - one;
    let y = i32(random() >> 15u) - one;
    let z = i32(random() >> 15u) - one;
    point = vec3i(x, y, z);
    if (dot_fixed(point, point) <= one) {
      return point;
    }
  }
  return point / 2;
}

fn sky(direction: vec3i, sun: vec3i, with_sun: bool) -> vec3i {
  let up = max(direction.y, 0);
  // Falls off quickly from the horizon: (1 - y)^6.
  let rest = one - min(up, one);
  let cube = mul(mul(rest, rest), rest);
  let low = mul(cube, cube);
  var color = vec3i(9500, 18500, 40500) + scale(vec3i(64000, 36000, 3000), low);
  let toward = max(dot_fixed(direction, sun), 0);
  var glow = mul(toward, toward);
  glow = mul(glow, glow);
  glow = mul(glow, glow);
  color += scale(vec3i(30000, 15000, 3000), glow);
  if (with_sun) {
    glow = mul(glow, glow);
    glow = mul(glow, glow);
    glow = mul(glow, glow);
    glow = mul(glow, glow);
    glow = mul(glow, glow);
    color += scale(vec3i(420000, 300000, 160000), glow);
  }
  return color;
}

// Distance along the ray to sphere `index`, or `far`.
fn sphere_distance(ray: Ray, index: u32) -> i32 {
  let at = header_words + index * sphere_words;
  let between = vec3i(scene[at], scene[at + 1u], scene[at + 2u]) - ray.origin;
  let radius = scene[at + 3u];
  // Floats throw out what misses by far more than they can be wrong; whole numbers decide about all others.
  let guess = vec3f(between) * (1.0 / one);
  let guess_radius = f32(radius) * (1.0 / one);
  let guess_along = dot(guess, vec3f(ray.direction) * (1.0 / one));
  let guess_outside = dot(guess, guess) - guess_radius * guess_radius;
  if (guess_along * guess_along - guess_outside < -0.25 || (guess_along < -0.25 && guess_outside > 0.25)) {
    return far;
  }
  let along = dot_fixed(between, ray.direction);
  let outside = dot_fixed(between, between) - mul(radius, radius);
  if (along < 0 && outside > 0) {
    return far;
  }
  let discriminant = mul(along, along) - outside;
  if (discriminant < 0) {
    return far;
  }
  let half = root(discriminant);
  let distance = along + select(half, -half, along - half > lift);
  return select(far, distance, distance > lift);
}

fn ground_distance(ray: Ray) -> i32 {
  // Flatter rays than 1 in 400 meet the ground beyond `far`.
  if (ray.direction.y > -164) {
    return far;
  }
  return min(mul(max(ray.origin.y, 0), inverse(-ray.direction.y)), far);
}

fn trace(ray: Ray) -> Hit {
  var hit = Hit(far, vec3i(0), vec3i(0), vec3i(0), matte);
  let count = (arrayLength(&scene) - header_words) / sphere_words;
  var nearest = -1;
  for (var index = 0u; index < count; index++) {
    let distance = sphere_distance(ray, index);
    if (distance < hit.distance) {
      hit.distance = distance;
      nearest = i32(index);
    }
  }
  let ground = ground_distance(ray);
  if (ground < hit.distance && ground > lift) {
    hit.distance = ground;
    hit.position = ray.origin + scale(ray.direction, ground);
    hit.position.y = 0;
    hit.normal = vec3i(0, one, 0);
    // Large tiles, a little lighter and darker.
    let parity = ((hit.position.x >> 17) + (hit.position.z >> 17)) & 1;
    hit.color = select(vec3i(31000, 27000, 25000), vec3i(45000, 42000, 39000), parity == 0);
    return hit;
  }
  if (nearest >= 0) {
    let at = header_words + u32(nearest) * sphere_words;
    let center = vec3i(scene[at], scene[at + 1u], scene[at + 2u]);
    hit.position = ray.origin + scale(ray.direction, hit.distance);
    hit.normal = unit_vector(hit.position - center);
    // Back onto the sphere: far along a ray the rounding of its direction shows.
    hit.position = center + scale(hit.normal, scene[at + 3u]);
    hit.color = vec3i(scene[at + 4u], scene[at + 5u], scene[at + 6u]);
    hit.material = scene[at + 7u];
  }
  return hit;
}

// Where a ray goes on through glass of index 1.5, or off it: Schlick's approximation of the share that is reflected.
fn through_glass(direction: vec3i, hit: Hit) -> Ray {
  let facing = dot_fixed(direction, hit.normal);
  let enters = facing < 0;
  let normal = select(-hit.normal, hit.normal, enters);
  let cosine = min(abs(facing), one);
  let ratio = select(98304, 43691, enters);
  let rest = one - mul(mul(ratio, ratio), one - mul(cosine, cosine));
  let behind = root(rest);
  let slant = one - select(behind, cosine, enters);
  let square = mul(slant, slant);
  let reflected = 2621 + mul(62915, mul(mul(square, square), slant));
  if (rest < 0 || random_fraction() < reflected) {
    return Ray(hit.position + scale(normal, lift), direction + 2 * scale(normal, cosine));
  }
  let bent = scale(direction, ratio) + scale(normal, mul(ratio, cosine) - behind);
  return Ray(hit.position - scale(normal, lift), bent);
}

// Light along a ray whose direction need not have length 1. Each turn of the loop follows one segment: of the path, or
// from a matte point towards the sun, after which the path goes on where `next` says. One loop for both keeps the
// shader small and neighbouring invocations together.
fn radiance(first: Ray, sun: vec3i) -> vec3i {
  var ray = first;
  var light = vec3i(0);
  var throughput = vec3i(one);
  // Matte surfaces sample the sun themselves; only other paths may see it.
  var sees_sun = true;
  var is_shadow_ray = false;
  var matte_hits = 0;
  var normal = vec3i(0);
  var next = first;
  for (var segment = 0; segment < segments_max; segment++) {
    ray.direction = unit_vector(ray.direction);
    let hit = trace(ray);
    if (is_shadow_ray) {
      let slope = dot_fixed(normal, ray.direction);
      if (slope > 0 && hit.distance >= far) {
        light += tint(throughput, scale(vec3i(200000, 145000, 85000), slope));
      }
      if (matte_hits >= 3) {
        break;
      }
      ray = next;
      is_shadow_ray = false;
      continue;
    }
    // The further, the likelier a ray ends in haze of the sky's own colour.
    let share = mul(hit.distance, 437);
    if (hit.distance >= far || random_fraction() < mul(mul(share, share), share)) {
      let level = vec3i(ray.direction.x, max(ray.direction.y, 0), ray.direction.z);
      light += tint(throughput, sky(level, sun, sees_sun && hit.distance >= far));
      break;
    }
    throughput = tint(throughput, hit.color);
    if (hit.material == glass) {
      ray = through_glass(ray.direction, hit);
      continue;
    }
    let above = hit.position + scale(hit.normal, lift);
    if (hit.material == mirror) {
      let facing = dot_fixed(ray.direction, hit.normal);
      ray = Ray(above, ray.direction - 2 * scale(hit.normal, facing));
      continue;
    }
    sees_sun = false;
    matte_hits += 1;
    is_shadow_ray = true;
    normal = hit.normal;
    // One random point serves both the soft edge of the sun's disc and the scattered direction.
    let spread = random_in_ball() + vec3i(0, 0, 7);
    next = Ray(above, normal + unit_vector(spread) + scale(normal, 32));
    ray = Ray(above, sun + scale(spread, 3600));
  }
  // Rare paths that find the sun through glass would leave bright dots.
  return min(light, vec3i(6 * one));
}

fn camera_ray(x: i32, y: i32) -> Ray {
  let origin = vec3i(scene[0], scene[1], scene[2]);
  let across = ((x << 16) + random_fraction()) / (width / 2) - one;
  let down = ((y << 16) + random_fraction()) / (height / 2) - one;
  let right = scale(vec3i(scene[3], scene[4], scene[5]), across);
  let up = scale(vec3i(scene[6], scene[7], scene[8]), -down);
  let focus = vec3i(scene[9], scene[10], scene[11]) + right + up;
  let lens_x = random_fraction() + random_fraction() - one;
  let lens_y = random_fraction() + random_fraction() - one;
  let shift = scale(vec3i(scene[12], scene[13], scene[14]), lens_x) + scale(vec3i(scene[15], scene[16], scene[17]), lens_y);
  return Ray(origin + shift, focus - shift);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let tile = i32(unit.x);
  let x = (tile % tiles_across) * tile_width + i32(id.x);
  let y = (tile / tiles_across) * tile_height + i32(id.y);
  let sun = vec3i(scene[18], scene[19], scene[20]);
  var sum = vec3u(0u);
  for (var shot = 0u; shot < samples; shot++) {
    random_state = u32(y * width + x) * 9781u + shot * 26699u + 1u;
    random_state = random() ^ (shot << 16u);
    // A sample has at most 19 bits, so 8192 of them fit.
    sum += vec3u(radiance(camera_ray(x, y), sun));
  }
  let at = (id.y * u32(tile_width) + id.x) * 3u;
  pixels[at] = sum.x / samples;
  pixels[at + 1u] = sum.y / samples;
  pixels[at + 2u] = sum.z / samples;
}
