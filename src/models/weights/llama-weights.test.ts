import { describe, expect, test } from 'vitest';
import { memorySource } from '../../core/byte-source.ts';
import { concatAll, viewBytes } from '../../core/bytes.ts';
import { expectInput, type Result } from '../../core/result.ts';
import type { ModelConfig } from '../../protocol/manifest.ts';
import { initialParameters, llamaLayout } from '../llama-parameters.ts';
import { encodeGguf, type GgufFile } from './encode-gguf.ts';
import { encodeLlama, llamaGguf } from './encode-llama.ts';
import { openGguf } from './gguf.ts';
import { configOfGguf } from './gguf-config.ts';
import { decodeConfig, encodeConfig } from './llama-config.ts';
import { ggufNames, ggufQwenNames, huggingFaceNames, namingOf, ourNames } from './llama-names.ts';
import { loadParameters, matchLlama } from './llama-weights.ts';
import { encodeSafetensors, openSafetensors, type SafetensorsEntry } from './safetensors.ts';

const config: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 12,
  hidden: 14,
  heads: 3,
  keyValueHeads: 1,
  vocabulary: 11,
  context: 7,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const parameters = initialParameters(config, 1);
const text = (result: Result<unknown>): string => (result.ok ? 'accepted' : result.error.text);
const openBytes = async (bytes: Uint8Array) => expectInput(await openSafetensors(memorySource('model', bytes)));
const openEntries = async (entries: readonly SafetensorsEntry[]) => openBytes(encodeSafetensors(entries));

/** The network's tensors as entries with these names, rows as they stand with us. */
const entriesWith = (nameOf: (name: string) => string): SafetensorsEntry[] =>
  llamaLayout(config).tensors.map(({ name, shape, offset, elements }) => ({
    name: nameOf(name),
    type: 'F32',
    shape,
    bytes: viewBytes(parameters.slice(offset, offset + elements)),
  }));

describe('names', () => {
  test.each([
    ['tok_embeddings.weight', 'model.embed_tokens.weight', 'token_embd.weight'],
    ['layers.0.attention.wq.weight', 'model.layers.0.self_attn.q_proj.weight', 'blk.0.attn_q.weight'],
    ['layers.11.attention.wk.bias', 'model.layers.11.self_attn.k_proj.bias', 'blk.11.attn_k.bias'],
    ['layers.3.attention.q_norm.weight', 'model.layers.3.self_attn.q_norm.weight', 'blk.3.attn_q_norm.weight'],
    ['layers.3.feed_forward.w2.weight', 'model.layers.3.mlp.down_proj.weight', 'blk.3.ffn_down.weight'],
    ['layers.3.ffn_norm.weight', 'model.layers.3.post_attention_layernorm.weight', 'blk.3.ffn_norm.weight'],
    ['norm.weight', 'model.norm.weight', 'output_norm.weight'],
    ['output.weight', 'lm_head.weight', 'output.weight'],
  ])('%s is called %s and %s', (ours, huggingFace, gguf) => {
    expect([ourNames.nameOf(ours), huggingFaceNames.nameOf(ours), ggufNames.nameOf(ours)]).toEqual([
      ours,
      huggingFace,
      gguf,
    ]);
  });

  test('a file says by its embedding whose they are, and which rotary order they bring', async () => {
    for (const naming of [ourNames, huggingFaceNames, ggufNames]) {
      const file = await openEntries(entriesWith(naming.nameOf));
      expect(expectInput(namingOf(file))).toBe(naming);
      const qwen = { ...file, metadata: { 'general.architecture': 'qwen3' } };
      expect(expectInput(namingOf(qwen))).toBe(naming === ggufNames ? ggufQwenNames : naming);
    }
    expect([huggingFaceNames.pairs, ggufNames.pairs, ggufQwenNames.pairs]).toEqual(['halves', 'neighbours', 'halves']);
    const none = await openEntries([]);
    expect(text(namingOf(none))).toMatch(/^model: lacks an embedding \(tok_embeddings\.weight, model\.embed_tokens/);
  });
});

describe('weights', () => {
  test('come back from every layout, bit for bit', async () => {
    expect(await loadParameters(config, await openBytes(encodeLlama(config, parameters)))).toEqual(parameters);
    expect(await loadParameters(config, await openEntries(entriesWith(ourNames.nameOf)))).toEqual(parameters);
    expect(await loadParameters(config, await openEntries(entriesWith(ggufNames.nameOf)))).toEqual(parameters);
  });

  test("Hugging Face's rows of queries and keys stand as transformers' `permute` leaves them, the others as they are", async () => {
    // view(heads, dim / 2, 2).transpose(1, 2): a head's even rows, then its odd ones.
    const file = await openBytes(encodeLlama(config, parameters));
    const rowsOf = async (name: string) => {
      const { start = 0, end = 0, source } = file.tensors.get(name) ?? {};
      const bytes = await source?.read(start, end);
      const values = new Float32Array(bytes?.buffer ?? new ArrayBuffer());
      return Array.from({ length: values.length / 12 }, (_, row) => [...values.subarray(row * 12, row * 12 + 12)]);
    };
    const ours = (offset: number, row: number) => [...parameters.subarray(offset + row * 12, offset + row * 12 + 12)];
    const [layer] = llamaLayout(config).layers;
    const query = await rowsOf('model.layers.0.self_attn.q_proj.weight');
    const order = [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11];
    expect(query).toEqual(order.map((row) => ours(layer?.query.offset ?? NaN, row)));
    const value = await rowsOf('model.layers.0.self_attn.v_proj.weight');
    expect(value).toEqual([0, 1, 2, 3].map((row) => ours(layer?.value.offset ?? NaN, row)));
  });

  test('halves and bf16 are weights too', async () => {
    // 1.5 in both.
    for (const [type, word] of [
      ['F16', 0x3e00],
      ['BF16', 0x3fc0],
    ] as const) {
      const entries = entriesWith(ourNames.nameOf).map((entry): SafetensorsEntry => {
        const count = entry.bytes.byteLength / 4;
        return { ...entry, type, bytes: viewBytes(new Uint16Array(count).fill(word)) };
      });
      expect(new Set(await loadParameters(config, await openEntries(entries)))).toEqual(new Set([1.5]));
    }
  });

  test('that are missing, of another shape or type, or too many are refused by name; needless ones are not', async () => {
    const entries = entriesWith(huggingFaceNames.nameOf);
    const match = async (other: ModelConfig, list: readonly SafetensorsEntry[]) =>
      text(matchLlama(other, await openEntries(list)));
    const extra = (name: string): SafetensorsEntry => ({ name, type: 'F32', shape: [1], bytes: new Uint8Array(4) });
    expect(await match(config, entries)).toBe('accepted');
    expect(await match(config, [...entries, extra('lm_head.weight')])).toBe('accepted');
    expect(await match(config, [...entries, extra('model.layers.1.self_attn.rotary_emb.inv_freq')])).toBe('accepted');
    expect(await match(config, [...entries, extra('model.layers.1.self_attn.q_proj.bias')])).toBe(
      "model: tensor model.layers.1.self_attn.q_proj.bias is none of this network's",
    );
    expect(await match({ ...config, layers: 3 }, entries)).toBe(
      'model: lacks tensor model.layers.2.self_attn.q_proj.weight',
    );
    expect(await match({ ...config, layers: 1 }, entries)).toMatch(
      /^model: tensor model\.layers\.1\..* is none of this/,
    );
    expect(await match({ ...config, hidden: 16 }, entries)).toBe(
      'model: tensor model.layers.0.mlp.gate_proj.weight is f32 [14, 12], expected [16, 12]',
    );
    const [first, ...rest] = entries;
    const whole = { ...extra(first?.name ?? ''), shape: [11, 12], type: 'I32' as const, bytes: new Uint8Array(528) };
    expect(await match(config, [whole, ...rest])).toBe(
      'model: tensor model.embed_tokens.weight is i32, weights are floats or quants',
    );
  });
});

describe("Hugging Face's config.json", () => {
  const changed = (change: object): string =>
    JSON.stringify({ ...(JSON.parse(encodeConfig(config)) as object), ...change });
  const decode = (change: object) => decodeConfig(changed(change), 'config.json');

  test('is read as it was written, with the defaults of transformers where it is silent', () => {
    expect(expectInput(decodeConfig(encodeConfig(config), 'config.json'))).toEqual(config);
    const silent = { num_key_value_heads: undefined, rope_theta: undefined, rms_norm_eps: undefined };
    expect(expectInput(decode({ ...silent, max_position_embeddings: undefined }))).toEqual({
      ...config,
      keyValueHeads: 3,
      normEpsilon: 1e-6,
      context: 2048,
    });
    const newer = { rope_theta: undefined, rope_parameters: { rope_theta: 5e5, rope_type: 'default' } };
    expect(expectInput(decode(newer)).ropeTheta).toBe(5e5);
    const needless = { rope_scaling: null, head_dim: 4, bos_token_id: 1, attention_bias: false };
    expect(expectInput(decode(needless))).toEqual(config);
    expect(expectInput(decode({ tie_word_embeddings: undefined })).tied).toBe(false);
    expect(expectInput(decode({ model_type: 'qwen3' })).headWidth).toBe(128);
  });

  test.each<[string, object, RegExp]>([
    ['another architecture', { model_type: 'mamba' }, /model_type: /],
    [
      'rotary positions scaled in another way',
      { rope_scaling: { rope_type: 'longrope', factor: 8 } },
      /rope_scaling\.rope_type: expected one of default, linear, llama3, yarn/,
    ],
    ['half of a scaling', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, /rope_scaling: llama3 needs low_freq/],
    ['scaling without a factor', { rope_scaling: { type: 'linear' } }, /rope_scaling: linear without a factor/],
    ['biases of the feed-forward block', { mlp_bias: true }, /mlp_bias: .*not run yet/],
    ['sliding windows', { use_sliding_window: true }, /use_sliding_window: .*not run yet/],
    ['a sliding layer', { layer_types: ['full_attention', 'sliding_attention'] }, /layer_types.1: .*not run yet/],
    ['an odd head', { head_dim: 7 }, /head width 7 is odd/],
    ['another activation', { hidden_act: 'gelu' }, /hidden_act: /],
    ['heads that do not divide', { num_attention_heads: 5 }, /width 12 is no even multiple of 5 heads/],
    ['other quants', { quantization_config: { quant_method: 'gptq' } }, /quantization_config: .*not read/],
    ['text for a number', { hidden_size: '12' }, /hidden_size: /],
  ])('%s is refused in one line', (_what, change, line) => {
    expect(text(decode(change))).toMatch(/^config\.json: ?[^\n]+$/);
    expect(text(decode(change))).toMatch(line);
  });
});

describe("GGUF's metadata", () => {
  const even = { ...config, heads: 6, keyValueHeads: 2 };
  const open = async (change: (file: GgufFile) => GgufFile) => {
    const file = change(llamaGguf(even, initialParameters(even, 1), 'f32'));
    return configOfGguf(expectInput(await openGguf(memorySource('m.gguf', concatAll([...encodeGguf(file)])))));
  };
  const withEntry = (key: string, type: number, value: string | number | boolean) => (file: GgufFile) => ({
    ...file,
    metadata: { ...file.metadata, [key]: { type, value } },
  });
  const [u32, f32, string] = [4, 6, 8];

  test('is read as it was written, numbers as their shortest decimals', async () => {
    expect(expectInput(await open((file) => file))).toEqual(even);
  });

  test.each<[string, (file: GgufFile) => GgufFile, RegExp]>([
    [
      'another architecture',
      withEntry('general.architecture', string, 'mamba'),
      /general\.architecture is mamba; llama, qwen2, qwen3 are run/,
    ],
    ['a mixture of experts', withEntry('llama.expert_count', u32, 8), /mixture of experts/],
    [
      'rotary positions scaled in another way',
      withEntry('llama.rope.scaling.type', string, 'longrope'),
      /llama\.rope\.scaling: type longrope is not run/,
    ],
    ['scaling without a factor', withEntry('llama.rope.scaling.type', string, 'linear'), /ropeScaling\.factor/],
    [
      'a rotary part of a head',
      withEntry('llama.rope.dimension_count', u32, 1),
      /llama\.rope\.dimension_count is 1; only/,
    ],
    [
      'values of another width',
      withEntry('llama.attention.value_length', u32, 64),
      /value_length is 64; only heads of/,
    ],
    ['no layers', withEntry('llama.block_count', u32, 0), /metadata: layers: /],
    ['text for a number', withEntry('llama.block_count', string, 'two'), /metadata: layers: /],
    [
      'an epsilon that is none',
      withEntry('llama.attention.layer_norm_rms_epsilon', f32, NaN),
      /metadata: normEpsilon: /,
    ],
  ])('%s is refused in one line', async (_what, change, line) => {
    const read = text(await open(change));
    expect(read).toMatch(/^m\.gguf: [^\n]+$/);
    expect(read).toMatch(line);
  });
});
