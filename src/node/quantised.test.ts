/**
 * Weights in blocks, int8 and the learning kernels on a real device, beside the cases of the self-test: rows that do not
 * depend on the batch, faults that must be found, and the codes of the training's own compression.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { viewBytes } from '../core/bytes.ts';
import { createRandom } from '../core/prng.ts';
import type { Device, Dispatch } from '../kernels/device.ts';
import { int8MatmulCases, int8MatvecDispatch, int8MatvecFamily } from '../kernels/int8-matmul.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { matvecDispatch, matvecFamily } from '../kernels/matvec.ts';
import { anyWeights } from '../kernels/quant-cases.ts';
import { q4MatvecFamily, q8MatvecFamily, quantMatvecCases, quantMatvecDispatch } from '../kernels/quant-matvec.ts';
import { quantiseInt8 } from '../kernels/quantise-int8-truth.ts';
import { codeWords, quantiseUint8Dispatches, uint8ShareElements, uint8Thresholds } from '../kernels/quantise-uint8.ts';
import { selfTest } from '../kernels/self-test.ts';
import { normals, type KernelCase } from '../kernels/test-case.ts';
import { topKCases } from '../kernels/top-k.ts';
import { canRun, type Family } from '../kernels/variants.ts';
import { quantise } from '../learning/compress.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';

const seed = 1;
const [columns, inner] = [97, 352];
/** Every variant of the products with blocks takes this one. */
const innerInBlocks = 320;

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('on a device', () => {
  let gpu: GPU | undefined;
  let opened: OpenedDevice | undefined;
  const device = (): Device => {
    if (opened === undefined) throw new Error('no device');
    return opened.device;
  };

  beforeAll(async () => {
    gpu = await openNodeGpu();
    opened = await openDevice(gpu);
  }, 60_000);
  afterAll(() => {
    opened?.close();
    if (gpu !== undefined) closeNodeGpu(gpu);
  });

  const tensor = (values: Float32Array | Uint32Array): Tensor => {
    const buffer = device().createBuffer('test', values.byteLength);
    device().write(buffer, viewBytes(values));
    return { buffer };
  };
  const read = async (of: Tensor): Promise<Uint8Array> => device().read(of.buffer);
  const repeated = (row: Float32Array, rows: number): Float32Array =>
    Float32Array.from({ length: row.length * rows }, (_, index) => row[index % row.length] ?? NaN);
  const variantsHere = (families: readonly Family[]): [family: Family, variant: string][] =>
    families.flatMap((family) =>
      family.variants.filter((own) => canRun(own, device())).map(({ name }): [Family, string] => [family, name]),
    );

  /** Of every variant, the last of 1, 4 and 16 equal rows; equal bits. */
  async function rowsDiffer(
    families: readonly Family[],
    dispatch: (family: Family, variant: string, rows: number, output: Tensor) => Dispatch,
  ): Promise<string[]> {
    const wrong: string[] = [];
    for (const [family, variant] of variantsHere(families)) {
      const seen = new Set<string>();
      for (const rows of [1, 4, 16]) {
        const output = tensor(new Float32Array(rows * columns));
        await device().run([dispatch(family, variant, rows, output)]);
        const bytes = await read(output);
        seen.add(String(bytes.slice((rows - 1) * columns * 4)));
      }
      if (seen.size !== 1) wrong.push(`${family.name} ${variant}`);
    }
    return wrong;
  }

  test('a row gives equal bits among 1, 4 and 16 rows, in every variant', { timeout: 300_000 }, async () => {
    const random = createRandom(seed);
    const row = normals(random, inner);
    const rowInBlocks = row.slice(0, innerInBlocks);
    const weights = {
      q4_0: anyWeights(random, 'q4_0', columns * innerInBlocks),
      q8_0: anyWeights(random, 'q8_0', columns * innerInBlocks),
    };
    const bySeries = await rowsDiffer([q4MatvecFamily, q8MatvecFamily], (family, variant, rows, output) => {
      const format = family === q4MatvecFamily ? 'q4_0' : 'q8_0';
      const { quants, scales } = weights[format];
      return quantMatvecDispatch({
        format,
        input: tensor(repeated(rowInBlocks, rows)),
        quants: tensor(quants),
        scales: tensor(scales),
        output,
        rows,
        columns,
        inner: innerInBlocks,
        choices: { variantOf: () => variant },
      });
    });
    expect(bySeries).toEqual([]);
    const floats = normals(random, columns * innerInBlocks);
    const byFloats = await rowsDiffer([matvecFamily], (_, variant, rows, output) =>
      matvecDispatch({
        input: tensor(repeated(rowInBlocks, rows)),
        weight: tensor(floats),
        output,
        rows,
        columns,
        inner: innerInBlocks,
        choices: { variantOf: () => variant },
      }),
    );
    expect(byFloats).toEqual([]);
    const weight = quantiseInt8(normals(random, columns * inner), { rows: columns, inner, block: 64 });
    const byInt8 = await rowsDiffer([int8MatvecFamily], (_, variant, rows, output) => {
      const input = quantiseInt8(repeated(row, rows), { rows, inner, block: 64 });
      return int8MatvecDispatch({
        input: tensor(input.words),
        inputScales: tensor(input.scales),
        weight: tensor(weight.words),
        weightScales: tensor(weight.scales),
        output,
        rows,
        columns,
        inner,
        block: 64,
        choices: { variantOf: () => variant },
      });
    });
    expect(byInt8).toEqual([]);
  });

  /** The cases that fail when a shader has this fault. */
  async function found(cases: readonly KernelCase[], from: string, to: string): Promise<number> {
    // Told afterwards, as the self-test takes what is thrown within a case for the case's failure.
    const without = new Set<string>();
    const spoil = (dispatch: Dispatch): Dispatch => {
      const { pipeline } = dispatch;
      if (!pipeline.wgsl.includes(from)) without.add(pipeline.label);
      return { ...dispatch, pipeline: { ...pipeline, wgsl: pipeline.wgsl.replace(from, to) } };
    };
    const spoiled: Device = Object.create(device(), {
      run: { value: (all: Dispatch[]) => device().run(all.map(spoil)) },
      prepare: { value: () => Promise.resolve() },
    });
    const { failed } = await selfTest(spoiled, { cases });
    expect([...without]).toEqual([]);
    return failed;
  }

  const plainOf = (cases: readonly KernelCase[], kernel: string, word = ''): KernelCase[] =>
    cases.filter((own) => own.kernel === kernel && own.title.includes(word)).slice(1, 3);

  test.each([
    ['a wrong order of nibbles', 'vec4u(28u, 20u, 12u, 4u)', 'vec4u(24u, 16u, 8u, 0u)', 'q4_0'],
    [
      "the neighbouring block's scale",
      'block / 2u] >> (16u * (block % 2u))',
      'block / 2u] >> (16u - 16u * (block % 2u))',
      'q4_0',
    ],
    [
      'a byte that is shifted by a bit less',
      'vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)',
      'vec4u(24u, 16u, 8u, 1u)) >> vec4u(24u)',
      'q8_0',
    ],
  ])('%s is found', async (_, from, to, format) => {
    const cases = plainOf(quantMatvecCases(createRandom(seed)), 'quant_matvec', format);
    expect(cases.length).toBe(2);
    expect(await found(cases, from, to)).toBe(2);
  });

  test('quants that are cut out by masks and corrected by one step too little are found', async () => {
    const cases = quantMatvecCases(createRandom(seed)).filter(
      ({ kernel, title }) => kernel === 'quant_matvec_quad' && /q4_0.* x (?:2176|320) /.test(title),
    );
    expect(cases.length).toBe(2);
    expect(await found(cases, 'select(-128.0, -8.0, bits == 4u)', 'select(-128.0, -7.0, bits == 4u)')).toBe(2);
  });

  test('a sum of int8 that is off by one word, and a top-k that prefers the later of equals, are found', async () => {
    const int8 = plainOf(int8MatmulCases(createRandom(seed)), 'int8_matmul', 'whole numbers');
    expect(int8.length).toBeGreaterThan(0);
    expect(await found(int8, 'word < word_end', 'word + 1u < word_end')).toBe(int8.length);
    const topK = plainOf(topKCases(createRandom(seed)), 'top_k', '32 of 97');
    expect(await found(topK, 'keys[slot - 1u] < key', 'keys[slot - 1u] <= key')).toBeGreaterThan(0);
  });

  test(`uint8 codes are those of the training's own compression, bit for bit, seed ${seed}`, async () => {
    const values = normals(createRandom(seed), 20_001);
    const count = values.length;
    const squares = values.reduce((sum, x) => sum + x * x, 0);
    const codes = tensor(new Uint32Array(Math.ceil(count / 4)));
    const dispatches = quantiseUint8Dispatches({
      values: tensor(values),
      thresholds: tensor(uint8Thresholds(squares, count)),
      codes,
      shares: tensor(new Float32Array(uint8ShareElements(count))),
      table: tensor(new Float32Array(256)),
      count,
    });
    await device().run(dispatches);
    expect(await read(codes)).toEqual(viewBytes(codeWords(quantise(values).codes)));
  });
});
