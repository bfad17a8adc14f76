/**
 * Llama, Qwen 2 and Qwen 3 as files of both families, read back number by number; and the f64 network, in which each thing
 * that a config says must show.
 */

import { describe, expect, test } from 'vitest';
import { memorySource } from '../core/byte-source.ts';
import { concatAll, viewBytes } from '../core/bytes.ts';
import { expectInput, type Result } from '../core/result.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { untrainable } from '../protocol/model-config.ts';
import { architectures, plainLlama, roughParameters } from './architectures.fixture.ts';
import { gradientTruth } from './llama-gradient-truth.ts';
import { llamaLayout, tensorOf } from './llama-parameters.ts';
import { logitsTruth } from './llama-truth.ts';
import { encodeGguf, type GgufFile } from './weights/encode-gguf.ts';
import { encodeLlama, llamaGguf } from './weights/encode-llama.ts';
import { configOfGguf } from './weights/gguf-config.ts';
import { openGguf } from './weights/gguf.ts';
import { decodeConfig, encodeConfig } from './weights/llama-config.ts';
import { loadParameters, matchLlama } from './weights/llama-weights.ts';
import { openLlama2c } from './weights/llama2c.ts';
import { openSafetensors } from './weights/safetensors.ts';

const seed = 11;
const tokens = [3, 96, 0, 41, 41, 17, 5, 60, 2, 88, 33, 7, 12, 50, 9, 21, 70, 1];
const text = (result: Result<unknown>): string => (result.ok ? 'accepted' : result.error.text);
const fileOf = async (gguf: GgufFile) =>
  expectInput(await openGguf(memorySource('m.gguf', concatAll([...encodeGguf(gguf)]))));
const withoutTensor = (gguf: GgufFile, name: string): GgufFile => ({
  ...gguf,
  tensors: gguf.tensors.filter((tensor) => tensor.name !== name),
});

describe.each(Object.entries(architectures))('%s', (_name, config) => {
  const parameters = roughParameters(config, seed);

  test('comes back from config.json and safetensors, where pairs stand half a head apart', async () => {
    expect(expectInput(decodeConfig(encodeConfig(config), 'config.json'))).toEqual(config);
    const file = expectInput(await openSafetensors(memorySource('model', encodeLlama(config, parameters))));
    expect(await loadParameters(config, file)).toEqual(parameters);
  });

  test('comes back from GGUF, where pairs stand as its architecture has them', async () => {
    const file = await fileOf(llamaGguf(config, parameters, 'f32'));
    const read = expectInput(configOfGguf(file));
    if (config.ropeScaling?.kind === 'llama3') {
      // llama.cpp has a factor for each pair instead.
      expect(read).toEqual({ ...config, ropeScaling: { kind: 'factors' } });
      const vector = await loadParameters(read, file);
      const wanted = logitsTruth(config, parameters, tokens);
      logitsTruth(read, vector, tokens).forEach((logit, index) => expect(logit).toBeCloseTo(wanted[index] ?? NaN, 5));
    } else {
      expect({ ...read, ...rounded(config, read) }).toEqual(config);
      expect(await loadParameters(config, file)).toEqual(parameters);
    }
  });

  test.runIf(config !== plainLlama)('has other logits than without what is special about it', () => {
    const { tied, attentionBias, queryKeyNorm, ropeScaling, ...rest } = config;
    const special = { tied, attentionBias, queryKeyNorm, ropeScaling };
    const logits = logitsTruth(config, parameters, tokens);
    for (const name of ['tied', 'attentionBias', 'queryKeyNorm', 'ropeScaling'] as const) {
      if (special[name] === undefined) continue;
      const without: ModelConfig = { ...rest, ...special, [name]: undefined };
      // The tensors that both have.
      const vector = roughParameters(without, seed);
      for (const tensor of llamaLayout(without).tensors) {
        const own = llamaLayout(config).tensors.find((other) => other.name === tensor.name);
        if (own !== undefined) tensorOf(vector, tensor).set(tensorOf(parameters, own));
      }
      const others = logitsTruth(without, vector, tokens);
      expect(Math.max(...logits.map((logit, index) => Math.abs(logit - (others[index] ?? NaN)))), name).toBeGreaterThan(
        0.05,
      );
    }
  });

  test.runIf(config !== plainLlama)('is not trained, which is said in a few words', () => {
    expect(untrainable(config)).toMatch(/\((tied: false|attentionBias|ropeScaling|queryKeyNorm)\)$/);
    const batch = { inputs: tokens, targets: tokens, batch: 1, length: tokens.length };
    expect(() => gradientTruth(config, parameters, batch)).toThrow(/^no gradient: /);
  });
});

/** What GGUF holds in f32 only. */
const rounded = (config: ModelConfig, read: ModelConfig): Partial<ModelConfig> => {
  if (config.ropeScaling?.kind !== 'yarn' || read.ropeScaling?.kind !== 'yarn') return {};
  expect(read.ropeScaling.attentionFactor).toBeCloseTo(config.ropeScaling.attentionFactor, 6);
  return { ropeScaling: { ...read.ropeScaling, attentionFactor: config.ropeScaling.attentionFactor } };
};

test('a llama2.c file with a classifier of its own says so by a negative vocabulary', async () => {
  const config: ModelConfig = { ...plainLlama, layers: 1, tied: false };
  const parameters = roughParameters(config, seed);
  const { embedding, layers, norm, head } = llamaLayout(config);
  const [layer] = layers;
  if (layer === undefined || head === undefined) throw new Error('no layer');
  const { attentionNorm, query, key, value, output, feedForwardNorm, gate, down, up } = layer;
  const order = [embedding, attentionNorm, query, key, value, output, feedForwardNorm, gate, down, up, norm];
  const { width, hidden, heads, keyValueHeads, vocabulary, context } = config;
  const bytes = concatAll([
    viewBytes(Int32Array.of(width, hidden, 1, heads, keyValueHeads, -vocabulary, context)),
    ...order.map((tensor) => viewBytes(tensorOf(parameters, tensor))),
    new Uint8Array(4 * context * (width / heads)),
    viewBytes(tensorOf(parameters, head)),
  ]);
  const { config: read, file } = expectInput(await openLlama2c(memorySource('model.bin', bytes)));
  expect(read).toEqual(config);
  expect(await loadParameters(read, file)).toEqual(parameters);
});

describe('a tensor that is missing', () => {
  test.each([
    ['a Qwen 2', 'blk.1.attn_k.bias'],
    ['a Qwen 3 with wide heads', 'blk.0.attn_q_norm.weight'],
    ['a Llama with biases everywhere', 'blk.1.attn_output.bias'],
  ])('of %s is refused by its name, %s', async (name, missing) => {
    const config = architectures[name] ?? plainLlama;
    const file = await fileOf(withoutTensor(llamaGguf(config, roughParameters(config, seed), 'f32'), missing));
    expect(text(matchLlama(expectInput(configOfGguf(file)), file))).toBe(`m.gguf: lacks tensor ${missing}`);
  });

  test('of a classifier makes the network a tied one, as llama.cpp has it', async () => {
    const config = architectures['a Llama with a classifier of its own'] ?? plainLlama;
    const gguf = withoutTensor(llamaGguf(config, roughParameters(config, seed), 'f32'), 'output.weight');
    expect(expectInput(configOfGguf(await fileOf(gguf)))).toEqual(plainLlama);
  });

  test('of norms that a Llama does not have is one too many', async () => {
    const config = architectures['a Qwen 3 with wide heads'] ?? plainLlama;
    const file = await fileOf(llamaGguf(config, roughParameters(config, seed), 'f32'));
    const { queryKeyNorm: _norms, ...without } = config;
    expect(text(matchLlama(without, file))).toBe("m.gguf: tensor blk.0.attn_q_norm.weight is none of this network's");
  });
});
