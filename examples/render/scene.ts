/**
 * The scene of `render.json`, where people can read it: metres and colours here, Q16 words in the job file's `data`.
 * The test keeps the two equal; after a change, `sceneWords()` is what belongs into the job file.
 */

type Vector = readonly [number, number, number];

const materials = { matte: 0, mirror: 1, glass: 2 } as const;

export interface Sphere {
  readonly center: Vector;
  readonly radius: number;
  readonly color: Vector;
  readonly material: keyof typeof materials;
}

/** A sphere that lies on the ground. */
const ball = (x: number, z: number, radius: number, material: Sphere['material'], color: Vector): Sphere => ({
  center: [x, radius, z],
  radius,
  color,
  material,
});

export const spheres: readonly Sphere[] = [
  ball(0, 0, 1, 'glass', [0.97, 0.99, 0.98]),
  ball(-2.25, -0.9, 1.15, 'matte', [0.82, 0.27, 0.14]),
  ball(2.3, -0.5, 1.1, 'mirror', [0.95, 0.78, 0.5]),
  ball(0.5, -3.6, 1.3, 'matte', [0.13, 0.36, 0.6]),
  ball(-5.2, -4.6, 1.5, 'mirror', [0.86, 0.88, 0.9]),
  ball(5.4, -4.8, 1.4, 'matte', [0.16, 0.44, 0.3]),
  ball(-0.95, 1.55, 0.34, 'matte', [0.92, 0.66, 0.16]),
  ball(1.05, 1.5, 0.4, 'matte', [0.14, 0.5, 0.56]),
  ball(-3.5, 0.75, 0.45, 'glass', [0.86, 0.97, 0.9]),
  ball(3.75, 1.0, 0.42, 'matte', [0.6, 0.2, 0.36]),
  ball(-1.9, 1.2, 0.26, 'mirror', [0.93, 0.93, 0.95]),
  ball(0.1, 2.25, 0.22, 'mirror', [0.96, 0.66, 0.5]),
  ball(2.15, 1.75, 0.27, 'glass', [0.98, 0.9, 0.84]),
];

const camera = {
  origin: [0.55, 1.5, 7.6] as Vector,
  target: [0.05, 0.78, 0] as Vector,
  /** Half the picture's width at distance 1. */
  spread: 0.52,
  lensRadius: 0.055,
};
const sun: Vector = [-0.78, 0.42, 0.3];

const subtract = (a: Vector, b: Vector): Vector => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const times = (a: Vector, by: number): Vector => [a[0] * by, a[1] * by, a[2] * by];
const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const length = (a: Vector): number => Math.hypot(...a);
const normalized = (a: Vector): Vector => times(a, 1 / length(a));
const words = (values: readonly number[]): number[] => values.map((value) => Math.round(value * 65536));

/** The words of binding 1: a header of 24, then 8 a sphere. Camera vectors reach to the plane in focus. */
export function sceneWords(): number[] {
  const view = subtract(camera.target, camera.origin);
  const focus = length(view);
  const forward = normalized(view);
  const right = normalized(cross(forward, [0, 1, 0]));
  const up = cross(right, forward);
  return [
    ...words(camera.origin),
    ...words(times(right, focus * camera.spread)),
    ...words(times(up, (focus * camera.spread * 192) / 320)),
    ...words(times(forward, focus)),
    ...words(times(right, camera.lensRadius)),
    ...words(times(up, camera.lensRadius)),
    ...words(normalized(sun)),
    0,
    0,
    0,
    ...spheres.flatMap(({ center, radius, color, material }) => [
      ...words([...center, radius, ...color]),
      materials[material],
    ]),
  ];
}
