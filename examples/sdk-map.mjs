/**
 * Squares of numbers, computed by the tabs of a swarm: the smallest program with the SDK, to be copied. Run it with
 * `node examples/sdk-map.mjs [hub]`; each unit is computed by two tabs, and their results must agree.
 */

import { readFile } from 'node:fs/promises';
import { connect } from 'tabswarm';

const hub = process.argv[2] ?? 'http://localhost:8787';
const numbersPerUnit = 256;
const units = 8;

// Any iterable of typed arrays will do; each of them becomes one unit.
const values = Array.from({ length: units }, (_, unit) =>
  Float32Array.from({ length: numbersPerUnit }, (_, index) => unit * numbersPerUnit + index),
);

const swarm = await connect(hub);
try {
  const results = swarm.map(
    {
      name: 'squares',
      shader: 'square.wgsl',
      buffers: [
        { binding: 0, kind: 'each', name: 'values' },
        { binding: 1, kind: 'output', type: 'f32', count: numbersPerUnit },
      ],
      grid: [numbersPerUnit / 64, 1, 1],
    },
    values,
    { files: { 'square.wgsl': await readFile(new URL('square.wgsl', import.meta.url)) } },
  );

  // In the order in which units are accepted, which is seldom that of the values: `index` says which one it is.
  let sum = 0;
  for await (const { index, outputs } of results) {
    const squares = outputs[0]?.data ?? [];
    for (const square of squares) sum += square;
    console.log(`unit ${index}: ${squares[0]} to ${squares[numbersPerUnit - 1]}`);
  }
  console.log(`sum of the squares below ${units * numbersPerUnit}: ${sum}`);
} finally {
  swarm.close();
}
