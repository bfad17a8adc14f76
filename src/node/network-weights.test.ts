/**
 * Weights from files to a device, and products with them: what is cut in parts gives the bits of what is whole, in every
 * format, and what does not fit is refused before a byte of it is read.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { memorySource } from '../core/byte-source.ts';
import { concatAll, viewBytes } from '../core/bytes.ts';
import { countingSource } from '../core/counting-source.fixture.ts';
import { createRandom } from '../core/prng.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { Device, Dispatch } from '../kernels/device.ts';
import { embeddingPartCases } from '../kernels/embedding-part.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { selfTest } from '../kernels/self-test.ts';
import { normals } from '../kernels/test-case.ts';
import { safeChoices } from '../kernels/variants.ts';
import { initialParameters, llamaLayout, tensorOf, type ParameterTensor } from '../models/llama-parameters.ts';
import { openNetworkWeights, wholeNetwork, type NetworkWeights, type WeightMatrix } from '../models/network-weights.ts';
import { embeddingDispatches, gatedProductDispatches, productDispatches } from '../models/products.ts';
import { encodeGguf, type GgufType } from '../models/weights/encode-gguf.ts';
import { llamaGguf } from '../models/weights/encode-llama.ts';
import { openGguf } from '../models/weights/gguf.ts';
import { loadParameters, matchLlama, vectorWeights, type LlamaWeights } from '../models/weights/llama-weights.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';

const seed = 5;
const config: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 64,
  hidden: 96,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 331,
  context: 16,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const random = createRandom(seed, 1);
const parameters = Float32Array.from(initialParameters(config, seed), (x) => x + 0.1 * random.normal());

async function fileOf(type: GgufType): Promise<LlamaWeights> {
  const bytes = concatAll([...encodeGguf(llamaGguf(config, parameters, type))]);
  return expectInput(matchLlama(config, expectInput(await openGguf(memorySource(type, bytes)))));
}

/** A device with less room for each binding. */
const narrowed = (device: Device, bindingBytesMax: number): Device => ({
  ...device,
  limits: { ...device.limits, bindingBytesMax },
});

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('weights on a device', () => {
  let gpu: GPU | undefined;
  let opened: OpenedDevice | undefined;
  const device = (): Device => {
    if (opened === undefined) throw new Error('no device');
    return opened.device;
  };
  const held: NetworkWeights[] = [];
  const open = async (
    weights: LlamaWeights,
    on: Device,
    of: Partial<Parameters<typeof openNetworkWeights>[2]> = {},
  ) => {
    const own = await openNetworkWeights(on, weights, { ...wholeNetwork(config), positionsMax: 16, ...of });
    held.push(own);
    return own;
  };

  beforeAll(async () => {
    gpu = await openNodeGpu();
    opened = await openDevice(gpu);
  }, 60_000);
  afterAll(() => {
    for (const weights of held) weights.free();
    opened?.close();
    if (gpu !== undefined) closeNodeGpu(gpu);
  });

  const tensor = (values: Float32Array | Uint32Array): Tensor => {
    const buffer = device().createBuffer('test', values.byteLength);
    device().write(buffer, viewBytes(values));
    return { buffer };
  };
  async function outputOf(
    elements: number,
    dispatches: (output: Tensor) => readonly Dispatch[],
  ): Promise<Float32Array> {
    const output = tensor(new Float32Array(elements).fill(0.5));
    await device().run(dispatches(output));
    const bytes = await device().read(output.buffer);
    return new Float32Array(bytes.buffer);
  }

  test(`embeddings in parts agree with their truth, seed ${seed}`, async () => {
    const report = await selfTest(device(), { cases: embeddingPartCases(createRandom(seed, 2)) });
    expect(report.cases.filter(({ passed }) => !passed)).toEqual([]);
    expect(report.passed).toBe(10);
  });

  const rows = 5;
  const input = normals(random, rows * config.width);
  const tokens = Uint32Array.of(0, 330, 64, 63, 999);
  const scratch = () => ({
    normed: tensor(new Float32Array(rows * config.width)),
    inverseRms: tensor(new Float32Array(rows)),
  });

  /** Everything that is computed with a network's weights, and whether kernels for many rows do it. */
  async function computed(weights: NetworkWeights, many: boolean): Promise<Float32Array[]> {
    const [layer] = weights.layers;
    const { embedding, head, norm } = weights;
    if (layer === undefined || embedding === undefined || head === undefined || norm === undefined)
      throw new Error('none');
    const common = { rows, many, choices: safeChoices };
    const of = (matrix: WeightMatrix) => ({ input: tensor(normals(createRandom(seed, 3), rows * matrix.columns)) });
    const product = (matrix: WeightMatrix, extra = {}) =>
      outputOf(rows * matrix.rows, (output) =>
        productDispatches(matrix, { ...common, ...of(matrix), output, ...extra }),
      );
    const gain = { norm: { gain: layer.attentionNorm, epsilon: 1e-5 }, scratch: scratch() };
    return [
      await product(layer.queryKeyValue, gain),
      await product(layer.output, { accumulate: true }),
      await product(layer.down, { bias: tensor(normals(createRandom(seed, 4), config.width)) }),
      await outputOf(rows * config.hidden, (output) =>
        gatedProductDispatches(layer.gateUp, {
          ...common,
          ...gain,
          input: tensor(input),
          gateUp: tensor(new Float32Array(rows * 2 * config.hidden)),
          output,
        }),
      ),
      await product(head, { ...gain, norm: { gain: norm, epsilon: 1e-5 } }),
      await outputOf(rows * config.width, (output) =>
        embeddingDispatches(embedding, { tokens: tensor(tokens), output, rows }),
      ),
    ];
  }

  test.each(['f32', 'f16', 'q8_0', 'q4_0'] as const)(
    '%s matrices cut in parts give the bits of whole ones',
    async (type) => {
      const weights = await fileOf(type);
      const whole = await open(weights, device());
      const cut = await open(weights, narrowed(device(), 8192));
      expect(whole.head?.parts.length).toBe(1);
      expect(cut.head?.parts.length).toBeGreaterThan(type === 'q4_0' ? 1 : 2);
      expect(cut.bytes).toBe(whole.bytes);
      for (const many of [false, true]) expect(await computed(cut, many)).toEqual(await computed(whole, many));
    },
  );

  /** f64, from the numbers that the file stands for. */
  function productTruth(vector: Float32Array, tensors: readonly ParameterTensor[], from: ArrayLike<number>): number[] {
    const matrix = tensors.flatMap((own) => [...tensorOf(vector, own)]);
    const columns = tensors[0]?.shape[1] ?? 0;
    return Array.from({ length: (from.length / columns) * (matrix.length / columns) }, (_, index) => {
      const outputs = matrix.length / columns;
      const [row, column] = [Math.floor(index / outputs), index % outputs];
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += (from[row * columns + i] ?? 0) * (matrix[column * columns + i] ?? 0);
      return sum;
    });
  }

  test.each(['f32', 'f16', 'q8_0', 'q4_0'] as const)('products with %s agree with f64', async (type) => {
    const weights = await fileOf(type);
    const vector = await loadParameters(config, await fileAgain(type));
    const own = await open(weights, device());
    const [layer] = own.layers;
    const [named] = llamaLayout(config).layers;
    if (layer === undefined || named === undefined) throw new Error('none');
    const want = productTruth(vector, [named.query, named.key, named.value], input);
    for (const many of [false, true]) {
      const got = await outputOf(want.length, (output) =>
        productDispatches(layer.queryKeyValue, { input: tensor(input), output, rows, many, choices: safeChoices }),
      );
      expect(Math.max(...want.map((value, index) => Math.abs(value - (got[index] ?? NaN))))).toBeLessThan(2e-5);
    }
  });
  const fileAgain = async (type: GgufType) =>
    expectInput(await openGguf(memorySource(type, concatAll([...encodeGguf(llamaGguf(config, parameters, type))]))));

  test('a flat vector and its stages come in as a file does, and only the stage is read', async () => {
    const source = countingSource(memorySource('vector', viewBytes(parameters)));
    const weights = expectInput(vectorWeights(config, source));
    const last = await open(weights, device(), { first: 1, count: 1, embedding: false });
    expect(last.layers.length).toBe(1);
    expect(last.embedding).toBeUndefined();
    const { layers, norm, embedding } = llamaLayout(config);
    const needed = [...Object.values(layers[1] ?? {}), norm, embedding];
    const read = source.reads.reduce((sum, { start, end }) => sum + end - start, 0);
    expect(read).toBe(needed.reduce((sum, { elements }) => sum + 4 * elements, 0));
  });

  test('what does not fit is refused before a byte is read, with what would', async () => {
    const source = countingSource(memorySource('vector', viewBytes(parameters)));
    const weights = expectInput(vectorWeights(config, source));
    const before = device().usage();
    const small: Device = {
      ...device(),
      limits: { ...device().limits, memoryBytesMax: before.bytes + 240_000 },
    };
    await expect(open(weights, small)).rejects.toThrow(
      /^weights: need 0\.3 MiB, 0\.2 MiB are free on this device; as q8_0 they need 0\.1 MiB, or 1 of these 2 layers would fit: use more stages$/,
    );
    expect(source.reads).toEqual([]);
    expect(device().usage()).toEqual(before);
  });

  /** A source that answers later, and counts how many wait. */
  function slowSource(fails?: (start: number) => boolean) {
    const inner = memorySource('vector', viewBytes(parameters));
    const counts = { waiting: 0, most: 0, late: 0, failed: false };
    const read = async (start: number, end: number) => {
      if (counts.failed) counts.late++;
      counts.most = Math.max(counts.most, ++counts.waiting);
      await new Promise((resolve) => setTimeout(resolve));
      counts.waiting--;
      if (fails?.(start) === true) {
        counts.failed = true;
        throw new InputError('vector: gone');
      }
      return inner.read(start, end);
    };
    return { source: { ...inner, read }, counts };
  }

  test('three tensors are read at once, so that a source far away does not make everything wait', async () => {
    const { source, counts } = slowSource();
    const told: number[] = [];
    await open(expectInput(vectorWeights(config, source)), device(), { progress: (done) => told.push(done) });
    expect(counts).toMatchObject({ waiting: 0, most: 3 });
    expect(told).toEqual(told.toSorted((a, b) => a - b));
  });

  test('a source that fails ends all reading, and nothing stays allocated', async () => {
    const before = device().usage();
    const { source, counts } = slowSource((start) => start > 100_000);
    await expect(open(expectInput(vectorWeights(config, source)), device())).rejects.toThrow(/^vector: gone$/);
    expect(device().usage()).toEqual(before);
    expect(counts.waiting).toBe(0);
    // Those that were under way may have asked once more; nobody begins another tensor.
    expect(counts.late).toBeLessThanOrEqual(2);
  });
});
