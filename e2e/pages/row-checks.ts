/**
 * What is asked of the row kernels in every variant that a device can run: that a row has equal bits at any place of any
 * batch, and that NaN and infinity come out as NaN. Functions of a device: `src/node/self-test.test.ts` runs them on Dawn,
 * `kernel-checks.ts` in a browser's page.
 */

import { viewBytes } from '../../src/core/bytes.ts';
import { createRandom } from '../../src/core/prng.ts';
import { crossEntropyDispatch, crossEntropyFamily } from '../../src/kernels/cross-entropy.ts';
import type { Device, DeviceBuffer, Dispatch } from '../../src/kernels/device.ts';
import type { Tensor } from '../../src/kernels/kernel.ts';
import { layerNormDispatch, layerNormFamily } from '../../src/kernels/layer-norm.ts';
import { rmsNormDispatch, rmsNormFamily } from '../../src/kernels/rms-norm.ts';
import { packWishes, sampleDispatch, sampleFamily } from '../../src/kernels/sample.ts';
import { softmaxDispatch, softmaxFamily } from '../../src/kernels/softmax.ts';
import { normals } from '../../src/kernels/test-case.ts';
import { variantsFor, type Choices, type Family } from '../../src/kernels/variants.ts';

/** Of rows that are read element by element, and of rows that are read four at once. */
const widths = [315, 316] as const;
const epsilon = 1e-5;

/** A batch of rows through one operation: what it wrote for each row. */
type RowsRun = (input: Float32Array, choices: Choices) => Promise<Float32Array[]>;

interface Operation {
  readonly family: Family;
  readonly run: RowsRun;
}

/** Buffers of one check, freed together. */
function workbench(device: Device) {
  const buffers: DeviceBuffer[] = [];
  const tensor = (values: Float32Array | Uint32Array): Tensor => {
    const buffer = device.createBuffer('rows', values.byteLength);
    device.write(buffer, viewBytes(values));
    buffers.push(buffer);
    return { buffer };
  };
  const rowsOf = async (dispatch: Dispatch, output: Tensor, rows: number): Promise<Float32Array[]> => {
    await device.run([dispatch]);
    const bytes = await device.read(output.buffer);
    const each = bytes.byteLength / rows;
    return Array.from({ length: rows }, (_, row) => new Float32Array(bytes.slice(row * each, (row + 1) * each).buffer));
  };
  return {
    tensor,
    rowsOf,
    empty: (count: number): Tensor => tensor(new Float32Array(count)),
    free: () => buffers.splice(0).forEach((buffer) => device.free(buffer)),
  };
}

function operations({ tensor, rowsOf, empty }: ReturnType<typeof workbench>, width: number): readonly Operation[] {
  const random = createRandom(5);
  const weights = normals(random, width);
  const biases = normals(random, width);
  const shape = (values: Float32Array) => ({ rows: values.length / width, width });
  return [
    {
      family: softmaxFamily,
      run: (values, choices) => {
        const output = empty(values.length);
        const of = { input: tensor(values), output, ...shape(values), choices };
        return rowsOf(softmaxDispatch(of), output, of.rows);
      },
    },
    {
      family: rmsNormFamily,
      run: (values, choices) => {
        const { rows } = shape(values);
        const [output, inverseRms] = [empty(values.length), empty(rows)];
        const of = {
          input: tensor(values),
          weight: tensor(weights),
          output,
          inverseRms,
          rows,
          width,
          epsilon,
          choices,
        };
        return rowsOf(rmsNormDispatch(of), output, rows);
      },
    },
    {
      family: layerNormFamily,
      run: (values, choices) => {
        const { rows } = shape(values);
        const [output, mean, inverseDeviation] = [empty(values.length), empty(rows), empty(rows)];
        const parameters = { weight: tensor(weights), bias: tensor(biases) };
        const of = {
          input: tensor(values),
          ...parameters,
          output,
          mean,
          inverseDeviation,
          rows,
          width,
          epsilon,
          choices,
        };
        return rowsOf(layerNormDispatch(of), output, rows);
      },
    },
    {
      family: crossEntropyFamily,
      run: (values, choices) => {
        const { rows } = shape(values);
        const logits = tensor(values);
        const of = { targets: tensor(new Uint32Array(rows).fill(5)), logits, losses: empty(rows), rows, choices };
        return rowsOf(crossEntropyDispatch({ ...of, vocabulary: width, gradientScale: 1 }), logits, rows);
      },
    },
    {
      family: sampleFamily,
      run: (values, choices) => {
        const { rows } = shape(values);
        const logProbabilities = empty(rows);
        const wish = { temperature: 1, topK: 40, topP: 0.9, seed: 4, position: 2, sample: 9 };
        const wishes = tensor(packWishes(Array.from({ length: rows }, (_, logitsRow) => ({ ...wish, logitsRow }))));
        const of = { logits: tensor(values), wishes, tokens: empty(rows), logProbabilities, rows, choices };
        return rowsOf(sampleDispatch({ ...of, vocabulary: width }), logProbabilities, rows);
      },
    },
  ];
}

/** Each operation with each of its variants that this device can run, in each width. */
async function forEachVariant(
  device: Device,
  check: (name: string, width: number, run: (input: Float32Array) => Promise<Float32Array[]>) => Promise<void>,
): Promise<void> {
  const bench = workbench(device);
  for (const width of widths) {
    for (const { family, run } of operations(bench, width)) {
      for (const { name } of variantsFor(family, device)) {
        await check(`${family.name} ${name}, width ${width}`, width, (input) => run(input, { variantOf: () => name }));
      }
    }
  }
  bench.free();
}

const sameBits = (a: Float32Array, b: Float32Array): boolean => {
  const [left, right] = [new Uint32Array(a.buffer), new Uint32Array(b.buffer)];
  return left.length === right.length && left.every((word, index) => word === right[index]);
};

/** Variants in which a row differs, in any bit, from itself alone: as any of 4 or of 16 equal rows. */
export async function variantsThatDependOnTheBatch(device: Device): Promise<string[]> {
  const different: string[] = [];
  await forEachVariant(device, async (name, width, run) => {
    const row = normals(createRandom(3), width, 2);
    const alone = (await run(row))[0] ?? new Float32Array(0);
    for (const rows of [4, 16]) {
      const copies = Float32Array.from({ length: rows * width }, (_, index) => row[index % width] ?? NaN);
      const found = await run(copies);
      if (!found.every((own) => sameBits(own, alone))) different.push(`${name} in ${rows} rows`);
    }
  });
  return different;
}

/** Variants in which a row with NaN or infinity gives any number, or spoils the plain row beside it. */
export async function variantsThatHideBadNumbers(device: Device): Promise<string[]> {
  const hiding: string[] = [];
  await forEachVariant(device, async (name, width, run) => {
    const row = normals(createRandom(3), width, 2);
    for (const bad of [NaN, Infinity]) {
      const input = Float32Array.from({ length: 3 * width }, (_, index) => row[index % width] ?? NaN);
      input[width + 77] = bad;
      const [before, spoiled, after] = await run(input);
      if (spoiled?.every(Number.isNaN) !== true) hiding.push(`${name} hides ${bad}`);
      for (const own of [before, after]) if (own?.some(Number.isNaN) !== false) hiding.push(`${name} spreads ${bad}`);
    }
  });
  return hiding;
}
