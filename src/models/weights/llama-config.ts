/**
 * What a network is, as files of others say it: Hugging Face's `config.json` (transformers `LlamaConfig`) and GGUF's
 * metadata (ggml `docs/gguf.md`, "Models"). What we cannot run yet is refused here in one line, before a weight is read.
 */

import { ok, oneLine, problem, type Result } from '../../core/result.ts';
import { parse, parseJson, positive, v, whole } from '../../core/schema.ts';
import { modelConfigSchema, type ModelConfig } from '../../protocol/manifest.ts';
import { headWidth } from '../llama-parameters.ts';
import { quotedName, type TensorFile } from './tensor-file.ts';

/** RoPE's base where a file is silent, in transformers and in ggml. */
const ropeThetaDefault = 10_000;

const scalingSchema = v.nullish(
  v.looseObject({
    rope_type: v.optional(v.literal('default', 'expected default: scaled rotary positions are not run yet')),
    type: v.optional(v.literal('default', 'expected default: scaled rotary positions are not run yet')),
    rope_theta: v.optional(positive),
  }),
);
const no = (what: string) => v.optional(v.literal(false, `expected false: ${what} not run yet`));

/** Defaults are those of transformers' `LlamaConfig`. */
const configSchema = v.object({
  model_type: v.literal('llama'),
  num_hidden_layers: whole(1, 256),
  hidden_size: whole(2, 65536),
  intermediate_size: whole(2, 262144),
  num_attention_heads: whole(1, 1024),
  num_key_value_heads: v.nullish(whole(1, 1024)),
  head_dim: v.nullish(whole(2, 65536)),
  vocab_size: whole(2, 1_000_000),
  max_position_embeddings: v.optional(whole(2, 1_000_000), 2048),
  rope_theta: v.optional(positive),
  rope_parameters: scalingSchema,
  rope_scaling: scalingSchema,
  rms_norm_eps: v.optional(positive, 1e-6),
  hidden_act: v.optional(v.literal('silu')),
  attention_bias: no('biases are'),
  mlp_bias: no('biases are'),
  tie_word_embeddings: v.literal(true, 'expected true: the classifier must be the embedding'),
  quantization_config: v.optional(v.null('weights quantised in this way are not read')),
});

/** The network of a `config.json`. */
export function decodeConfig(text: string, where: string): Result<ModelConfig> {
  const parsed = parseJson(configSchema, text, where);
  if (!parsed.ok) return problem('model', oneLine(parsed.error.text));
  const read = parsed.value;
  const shaped = checkShape(
    {
      architecture: read.model_type,
      layers: read.num_hidden_layers,
      width: read.hidden_size,
      hidden: read.intermediate_size,
      heads: read.num_attention_heads,
      keyValueHeads: read.num_key_value_heads ?? read.num_attention_heads,
      vocabulary: read.vocab_size,
      context: read.max_position_embeddings,
      ropeTheta: read.rope_theta ?? read.rope_parameters?.rope_theta ?? ropeThetaDefault,
      normEpsilon: read.rms_norm_eps,
    },
    where,
  );
  if (!shaped.ok) return shaped;
  return checkHeadWidth(shaped.value, read.head_dim ?? undefined, `${where}: head_dim`);
}

/** A `config.json` as transformers reads it. */
export const encodeConfig = (config: ModelConfig): string =>
  `${JSON.stringify(
    {
      architectures: ['LlamaForCausalLM'],
      model_type: config.architecture,
      num_hidden_layers: config.layers,
      hidden_size: config.width,
      intermediate_size: config.hidden,
      num_attention_heads: config.heads,
      num_key_value_heads: config.keyValueHeads,
      vocab_size: config.vocabulary,
      max_position_embeddings: config.context,
      rope_theta: config.ropeTheta,
      rms_norm_eps: config.normEpsilon,
      hidden_act: 'silu',
      tie_word_embeddings: true,
      torch_dtype: 'float32',
    },
    null,
    2,
  )}\n`;

/** The network of a GGUF file. */
export function configOfGguf({ name: where, metadata, tensors }: TensorFile): Result<ModelConfig> {
  const refuse = (text: string) => problem('model', `${where}: ${text}`);
  const architecture = metadata['general.architecture'];
  if (architecture !== 'llama') {
    const called = typeof architecture === 'string' ? quotedName(architecture) : 'none';
    return refuse(`general.architecture is ${called}; only llama is run yet`);
  }
  const of = (key: string): unknown => numberOf(metadata[`llama.${key}`]);
  const scaling = metadata['llama.rope.scaling.type'] ?? 'none';
  if (scaling !== 'none' || tensors.has('rope_freqs.weight')) {
    return refuse('scaled rotary positions (llama.rope.scaling, rope_freqs) are not run yet');
  }
  if (tensors.has('output.weight')) {
    return refuse('has a classifier of its own (tensor output.weight); only tied classifiers are run yet');
  }
  if (Number(of('expert_count') ?? 0) > 0) return refuse('a mixture of experts (llama.expert_count) is not run yet');
  const heads = of('attention.head_count');
  const vocabulary = of('vocab_size') ?? tensors.get('token_embd.weight')?.shape[0];
  const epsilon = of('attention.layer_norm_rms_epsilon');
  const fields = {
    architecture,
    layers: of('block_count'),
    width: of('embedding_length'),
    hidden: of('feed_forward_length'),
    heads,
    keyValueHeads: of('attention.head_count_kv') ?? heads,
    vocabulary,
    context: of('context_length'),
    ropeTheta: of('rope.freq_base') ?? ropeThetaDefault,
    normEpsilon: typeof epsilon === 'number' ? shortest(epsilon) : epsilon,
  };
  const parsed = parse(modelConfigSchema, fields, `${where}: metadata`);
  if (!parsed.ok) return problem('model', oneLine(parsed.error.text));
  const shaped = checkShape(parsed.value, where);
  if (!shaped.ok) return shaped;
  for (const key of ['rope.dimension_count', 'attention.key_length', 'attention.value_length']) {
    const width = of(key);
    if (width === undefined) continue;
    const checked = checkHeadWidth(shaped.value, width, `${where}: llama.${key}`);
    if (!checked.ok) return checked;
  }
  return shaped;
}

/** GGUF's 64-bit numbers come as bigints; what is none stays as it is, for the schema to refuse. */
const numberOf = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

/** An f32 as its shortest decimal: 1e-5, not 0.000009999999747378752. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}

/** The rules that relate one size of a network to another. */
export function checkShape(config: ModelConfig, where: string): Result<ModelConfig> {
  if (config.heads % config.keyValueHeads !== 0) {
    return problem(
      'model',
      `${where}: ${config.keyValueHeads} key and value heads do not divide ${config.heads} heads`,
    );
  }
  if (config.width % (2 * config.heads) !== 0) {
    return problem('model', `${where}: width ${config.width} is no even multiple of ${config.heads} heads`);
  }
  return ok(config);
}

function checkHeadWidth(config: ModelConfig, stated: unknown, where: string): Result<ModelConfig> {
  if (stated === undefined || stated === headWidth(config)) return ok(config);
  return problem(
    'model',
    `${where} is ${oneLine(String(stated))}; only heads of width / heads (${headWidth(config)}) are run yet`,
  );
}
