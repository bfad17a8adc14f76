/**
 * The truth of `render.wgsl`: the same whole numbers on the CPU, operation by operation, so outputs must be equal bit
 * for bit. `check` compares pixels spread over every unit, `truthTile` gives a whole one.
 */

import { sceneWords } from './scene.ts';

type Vector = readonly [number, number, number];

interface Ray {
  readonly origin: Vector;
  readonly direction: Vector;
}

interface Hit {
  readonly distance: number;
  readonly position: Vector;
  readonly normal: Vector;
  readonly color: Vector;
  readonly material: number;
}

export const picture = { width: 320, height: 192, tileWidth: 64, tileHeight: 32, tilesAcross: 5, tiles: 30 } as const;

const one = 65536;
const far = 150 * one;
const lift = 160;
const headerWords = 24;
const sphereWords = 8;
const segmentsMax = 10;
const glass = 2;
const mirror = 1;

/** (a * b) >> 16 of the 64-bit product, rounded down; wraps as i32 does. */
export function mul(a: number, b: number): number {
  const aHigh = a >> 16;
  const bHigh = b >> 16;
  const aLow = a & 0xffff;
  const bLow = b & 0xffff;
  const low = Math.imul(aLow, bLow) >>> 16;
  return ((Math.imul(aHigh, bHigh) << 16) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh) + low) | 0;
}

/** Square root of a Q16 number, rounded down. */
export function root(x: number): number {
  // 24 bits of root from 48 of radicand: a double holds both exactly, so its own root is right within one.
  const radicand = Math.max(x, 0) * one;
  let result = Math.floor(Math.sqrt(radicand));
  while (result * result > radicand) result--;
  while ((result + 1) * (result + 1) <= radicand) result++;
  return result;
}

/** 1 / x for x above 2 / 65536. */
export const inverse = (x: number): number => Math.floor(0xffffffff / Math.max(x, 3)) | 0;

const add = (a: Vector, b: Vector): Vector => [(a[0] + b[0]) | 0, (a[1] + b[1]) | 0, (a[2] + b[2]) | 0];
const subtract = (a: Vector, b: Vector): Vector => [(a[0] - b[0]) | 0, (a[1] - b[1]) | 0, (a[2] - b[2]) | 0];
const negate = (a: Vector): Vector => subtract([0, 0, 0], a);
const scale = (a: Vector, by: number): Vector => [mul(a[0], by), mul(a[1], by), mul(a[2], by)];
const tint = (a: Vector, by: Vector): Vector => [mul(a[0], by[0]), mul(a[1], by[1]), mul(a[2], by[2])];
const dot = (a: Vector, b: Vector): number => (mul(a[0], b[0]) + mul(a[1], b[1]) + mul(a[2], b[2])) | 0;
const twice = (a: Vector): Vector => add(a, a);
export const unitVector = (a: Vector): Vector => scale(a, inverse(root(dot(a, a))));

/** One pixel's computation: the scene's words and a random sequence of its own. */
function createTracer(scene: Int32Array) {
  const word = (index: number): number => scene[index] ?? 0;
  const vector = (index: number): Vector => [word(index), word(index + 1), word(index + 2)];
  const sphereCount = Math.floor((scene.length - headerWords) / sphereWords);
  const sun = vector(18);
  let state = 0;

  function random(): number {
    state = (Math.imul(state, 747796405) + 2891336453) >>> 0;
    const mixed = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737) >>> 0;
    return ((mixed >>> 22) ^ mixed) >>> 0;
  }
  const randomFraction = (): number => random() >>> 16;
  const randomOffset = (): number => (random() >>> 15) - one;
  function randomInBall(): Vector {
    let point: Vector = [0, 0, 0];
    for (let attempt = 0; attempt < 4; attempt++) {
      point = [randomOffset(), randomOffset(), randomOffset()];
      if (dot(point, point) <= one) return point;
    }
    return [Math.trunc(point[0] / 2), Math.trunc(point[1] / 2), Math.trunc(point[2] / 2)];
  }

  function sky(direction: Vector, withSun: boolean): Vector {
    const rest = one - Math.min(Math.max(direction[1], 0), one);
    const cube = mul(mul(rest, rest), rest);
    const low = mul(cube, cube);
    let color = add([9500, 18500, 40500], scale([64000, 36000, 3000], low));
    let glow = Math.max(dot(direction, sun), 0);
    const sharpen = (times: number): void => {
      for (let time = 0; time < times; time++) glow = mul(glow, glow);
    };
    sharpen(3);
    color = add(color, scale([30000, 15000, 3000], glow));
    if (!withSun) return color;
    sharpen(5);
    return add(color, scale([420000, 300000, 160000], glow));
  }

  function sphereDistance({ origin, direction }: Ray, index: number): number {
    const at = headerWords + index * sphereWords;
    const between = subtract(vector(at), origin);
    const radius = word(at + 3);
    const along = dot(between, direction);
    const outside = (dot(between, between) - mul(radius, radius)) | 0;
    if (along < 0 && outside > 0) return far;
    const discriminant = (mul(along, along) - outside) | 0;
    if (discriminant < 0) return far;
    const half = root(discriminant);
    const distance = (along + (along - half > lift ? -half : half)) | 0;
    return distance > lift ? distance : far;
  }

  function groundDistance({ origin, direction }: Ray): number {
    if (direction[1] > -164) return far;
    return Math.min(mul(Math.max(origin[1], 0), inverse(-direction[1])), far);
  }

  function trace(ray: Ray): Hit {
    let distance = far;
    let nearest = -1;
    for (let index = 0; index < sphereCount; index++) {
      const candidate = sphereDistance(ray, index);
      if (candidate >= distance) continue;
      distance = candidate;
      nearest = index;
    }
    const ground = groundDistance(ray);
    if (ground < distance && ground > lift) {
      const [x, , z] = add(ray.origin, scale(ray.direction, ground));
      const light = (((x >> 17) + (z >> 17)) & 1) === 0;
      const color: Vector = light ? [45000, 42000, 39000] : [31000, 27000, 25000];
      return { distance: ground, position: [x, 0, z], normal: [0, one, 0], color, material: 0 };
    }
    if (nearest < 0) return { distance, position: [0, 0, 0], normal: [0, 0, 0], color: [0, 0, 0], material: 0 };
    const at = headerWords + nearest * sphereWords;
    const center = vector(at);
    const normal = unitVector(subtract(add(ray.origin, scale(ray.direction, distance)), center));
    const position = add(center, scale(normal, word(at + 3)));
    return { distance, position, normal, color: vector(at + 4), material: word(at + 7) };
  }

  function throughGlass(direction: Vector, hit: Hit): Ray {
    const facing = dot(direction, hit.normal);
    const enters = facing < 0;
    const normal = enters ? hit.normal : negate(hit.normal);
    const cosine = Math.min(Math.abs(facing), one);
    const ratio = enters ? 43691 : 98304;
    const rest = one - mul(mul(ratio, ratio), one - mul(cosine, cosine));
    const slant = one - (enters ? cosine : root(rest));
    const square = mul(slant, slant);
    const reflected = 2621 + mul(62915, mul(mul(square, square), slant));
    if (rest < 0 || randomFraction() < reflected) {
      return {
        origin: add(hit.position, scale(normal, lift)),
        direction: add(direction, twice(scale(normal, cosine))),
      };
    }
    const bent = add(scale(direction, ratio), scale(normal, (mul(ratio, cosine) - root(rest)) | 0));
    return { origin: subtract(hit.position, scale(normal, lift)), direction: bent };
  }

  function radiance(first: Ray): Vector {
    let ray = first;
    let next = first;
    let light: Vector = [0, 0, 0];
    let throughput: Vector = [one, one, one];
    let normal: Vector = [0, 0, 0];
    let seesSun = true;
    let isShadowRay = false;
    let matteHits = 0;
    for (let segment = 0; segment < segmentsMax; segment++) {
      ray = { origin: ray.origin, direction: unitVector(ray.direction) };
      const hit = trace(ray);
      if (isShadowRay) {
        const slope = dot(normal, ray.direction);
        if (slope > 0 && hit.distance >= far)
          light = add(light, tint(throughput, scale([200000, 145000, 85000], slope)));
        if (matteHits >= 3) break;
        ray = next;
        isShadowRay = false;
        continue;
      }
      const share = mul(hit.distance, 437);
      if (hit.distance >= far || randomFraction() < mul(mul(share, share), share)) {
        const [x, y, z] = ray.direction;
        light = add(light, tint(throughput, sky([x, Math.max(y, 0), z], seesSun && hit.distance >= far)));
        break;
      }
      throughput = tint(throughput, hit.color);
      if (hit.material === glass) {
        ray = throughGlass(ray.direction, hit);
        continue;
      }
      const above = add(hit.position, scale(hit.normal, lift));
      if (hit.material === mirror) {
        const facing = dot(ray.direction, hit.normal);
        ray = { origin: above, direction: subtract(ray.direction, twice(scale(hit.normal, facing))) };
        continue;
      }
      seesSun = false;
      matteHits++;
      isShadowRay = true;
      normal = hit.normal;
      const spread = add(randomInBall(), [0, 0, 7]);
      next = { origin: above, direction: add(add(normal, unitVector(spread)), scale(normal, 32)) };
      ray = { origin: above, direction: add(sun, scale(spread, 3600)) };
    }
    return [Math.min(light[0], 6 * one), Math.min(light[1], 6 * one), Math.min(light[2], 6 * one)];
  }

  function cameraRay(x: number, y: number): Ray {
    const across = Math.floor(((x << 16) + randomFraction()) / (picture.width / 2)) - one;
    const down = Math.floor(((y << 16) + randomFraction()) / (picture.height / 2)) - one;
    const focus = add(add(vector(9), scale(vector(3), across)), scale(vector(6), -down));
    const lensX = randomFraction() + randomFraction() - one;
    const lensY = randomFraction() + randomFraction() - one;
    const shift = add(scale(vector(12), lensX), scale(vector(15), lensY));
    return { origin: add(vector(0), shift), direction: subtract(focus, shift) };
  }

  /** Mean radiance of one pixel, Q16. */
  return function pixel(x: number, y: number, samples: number): Vector {
    const sum: [number, number, number] = [0, 0, 0];
    for (let shot = 0; shot < samples; shot++) {
      state = (Math.imul(y * picture.width + x, 9781) + Math.imul(shot, 26699) + 1) >>> 0;
      state = (random() ^ (shot << 16)) >>> 0;
      const light = radiance(cameraRay(x, y));
      sum[0] += light[0];
      sum[1] += light[1];
      sum[2] += light[2];
    }
    return [Math.floor(sum[0] / samples), Math.floor(sum[1] / samples), Math.floor(sum[2] / samples)];
  };
}

/** One pixel of the picture: red, green, blue as Q16. */
export const truthPixel = (scene: readonly number[], samples: number, x: number, y: number): Vector =>
  createTracer(Int32Array.from(scene))(x, y, samples);

/** One unit's output: three u32 a pixel, rows from the top. */
export function truthTile(scene: readonly number[], samples: number, unit: number): Uint8Array {
  const pixel = createTracer(Int32Array.from(scene));
  const tile: number[] = [];
  const left = (unit % picture.tilesAcross) * picture.tileWidth;
  const top = Math.floor(unit / picture.tilesAcross) * picture.tileHeight;
  for (let y = 0; y < picture.tileHeight; y++) {
    for (let x = 0; x < picture.tileWidth; x++) tile.push(...pixel(left + x, top + y, samples));
  }
  return new Uint8Array(Uint32Array.from(tile).buffer);
}

/** What is wrong with the outputs, or undefined: 24 pixels of each unit, the corners among them, bit for bit. */
export function check(
  outputs: ReadonlyMap<number, Uint8Array>,
  scene: readonly number[] = sceneWords(),
  samples = 32,
): string | undefined {
  const { tileWidth, tileHeight, tilesAcross, tiles } = picture;
  const pixel = createTracer(Int32Array.from(scene));
  for (let unit = 0; unit < tiles; unit++) {
    const bytes = outputs.get(unit);
    if (bytes === undefined) return `unit ${unit}: no output`;
    const size = tileWidth * tileHeight * 12;
    if (bytes.byteLength !== size) return `unit ${unit}: ${bytes.byteLength} bytes, not ${size}`;
    const view = new DataView(bytes.buffer, bytes.byteOffset, size);
    for (let turn = 0; turn < 24; turn++) {
      const index = Math.round((turn * (tileWidth * tileHeight - 1)) / 23);
      const x = (unit % tilesAcross) * tileWidth + (index % tileWidth);
      const y = Math.floor(unit / tilesAcross) * tileHeight + Math.floor(index / tileWidth);
      for (const [channel, expected] of pixel(x, y, samples).entries()) {
        const actual = view.getUint32(index * 12 + channel * 4, true);
        if (actual !== expected)
          return `unit ${unit}: pixel ${x}, ${y}, channel ${channel}: ${actual}, not ${expected}`;
      }
    }
  }
  return undefined;
}
