/**
 * Each architecture through a stage on a real device against the f64 network on the numbers that the file stands for: from
 * both families of files, both rotary orders, in every format; and quantised on the way.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { memorySource } from '../core/byte-source.ts';
import { concatAll } from '../core/bytes.ts';
import { expectInput } from '../core/result.ts';
import type { Device } from '../kernels/device.ts';
import { packHalves, unpackHalves } from '../kernels/half.ts';
import { dequantise, quantiseQ4_0, quantiseQ8_0 } from '../kernels/quant-blocks.ts';
import { safeChoices } from '../kernels/variants.ts';
import { architectures, plainLlama, roughParameters } from '../models/architectures.fixture.ts';
import { llamaLayout, tensorOf } from '../models/llama-parameters.ts';
import { logitsTruth } from '../models/llama-truth.ts';
import { openNetworkWeights, wholeNetwork, type WeightOptions } from '../models/network-weights.ts';
import { createStage, type RowsKind } from '../models/stage.ts';
import { encodeGguf, type GgufType } from '../models/weights/encode-gguf.ts';
import { encodeLlama, llamaGguf } from '../models/weights/encode-llama.ts';
import { configOfGguf } from '../models/weights/gguf-config.ts';
import { openGguf } from '../models/weights/gguf.ts';
import { matchLlama, readParameters, type LlamaWeights } from '../models/weights/llama-weights.ts';
import { openSafetensors } from '../models/weights/safetensors.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';

const seed = 11;
const tokens = [3, 96, 0, 41, 41, 17, 5, 60, 2, 88, 33, 7, 12, 50, 9, 21, 70, 1];

async function fromGguf(config: ModelConfig, type: GgufType): Promise<LlamaWeights> {
  const bytes = concatAll([...encodeGguf(llamaGguf(config, roughParameters(config, seed), type))]);
  const file = expectInput(await openGguf(memorySource('m.gguf', bytes)));
  return expectInput(matchLlama(expectInput(configOfGguf(file)), file));
}

async function fromSafetensors(config: ModelConfig): Promise<LlamaWeights> {
  const bytes = encodeLlama(config, roughParameters(config, seed));
  return expectInput(matchLlama(config, expectInput(await openSafetensors(memorySource('model', bytes)))));
}

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

  /** Logits of every position: all at once, or token by token. */
  async function logitsOf(
    weights: LlamaWeights,
    kind: RowsKind,
    of: Partial<WeightOptions> = {},
    on: Device = device(),
  ): Promise<Float32Array> {
    const { config } = weights;
    const network = await openNetworkWeights(on, weights, { ...wholeNetwork(config), positionsMax: 32, ...of });
    const options = { pages: 4, positionsMax: 32, sequencesMax: 1, rowsMax: 32, choices: safeChoices };
    const stage = createStage(device(), { weights: network, ...options });
    stage.open(0, 32);
    const logits = new Float32Array(tokens.length * config.vocabulary);
    const step = kind === 'decode' ? 1 : tokens.length;
    for (let first = 0; first < tokens.length; first += step) {
      const own = tokens.slice(first, first + step);
      const rows = own.map((_, index) => [0, first + index] as const);
      await stage.forward({ kind, rows, tokens: Uint32Array.from(own) });
      logits.set(await stage.readLogits(), first * config.vocabulary);
    }
    stage.free();
    network.free();
    return logits;
  }

  const apart = (logits: Float32Array, truth: Float64Array): number =>
    Math.max(...truth.map((value, index) => Math.abs(value - (logits[index] ?? NaN))));

  describe.each(Object.entries(architectures))('%s', (_name, config) => {
    test('has the logits of f64, from safetensors and from GGUF, in prefill and token by token', async () => {
      for (const weights of [await fromSafetensors(config), await fromGguf(config, 'f32')]) {
        const truth = logitsTruth(weights.config, await readParameters(weights), tokens);
        const spread = Math.max(...truth.map(Math.abs));
        for (const kind of ['prefill', 'decode'] as const) {
          expect(apart(await logitsOf(weights, kind), truth) / spread).toBeLessThan(2e-5);
        }
      }
    }, 120_000);
  });

  const wide = architectures['a Qwen 3 with wide heads'] ?? plainLlama;

  test.each(['f16', 'q8_0', 'q4_0'] as const)(
    'a Qwen 3 in %s has the logits of what its file stands for',
    async (type) => {
      const weights = await fromGguf(wide, type);
      const truth = logitsTruth(wide, await readParameters(weights), tokens);
      const spread = Math.max(...truth.map(Math.abs));
      const narrow: Device = { ...device(), limits: { ...device().limits, bindingBytesMax: 4096 } };
      for (const kind of ['prefill', 'decode'] as const) {
        const logits = await logitsOf(weights, kind);
        expect(apart(logits, truth) / spread).toBeLessThan(2e-5);
        // The same weights in parts.
        expect(await logitsOf(weights, kind, {}, narrow)).toEqual(logits);
      }
    },
    120_000,
  );

  test.each(['f16', 'q8_0', 'q4_0'] as const)(
    'f32 made %s on the way has the logits of such a file',
    async (quantise) => {
      const weights = await fromGguf(wide, 'f32');
      const logits = await logitsOf(weights, 'decode', { quantise });
      const vector = (await readParameters(weights)).slice();
      const layout = llamaLayout(wide);
      for (const tensor of layout.tensors) {
        if (tensor.shape.length === 1) continue;
        const values = tensorOf(vector, tensor);
        // The table keeps eight bits.
        const own = quantise === 'q4_0' && tensor === layout.embedding ? 'q8_0' : quantise;
        if (own === 'f16') values.set(unpackHalves(packHalves(values), values.length));
        else values.set(dequantise(own === 'q4_0' ? quantiseQ4_0(values) : quantiseQ8_0(values)));
      }
      const truth = logitsTruth(wide, vector, tokens);
      expect(apart(logits, truth) / Math.max(...truth.map(Math.abs))).toBeLessThan(2e-5);
    },
    120_000,
  );
});
