/**
 * What a network is, as Hugging Face's `config.json` says it (transformers `LlamaConfig`, `Qwen2Config`, `Qwen3Config`).
 * What we cannot run yet is refused here in one line, before a weight is read. GGUF's metadata are `gguf-config.ts`.
 */

import { assert } from '../../core/assert.ts';
import { ok, oneLine, problem, type Result } from '../../core/result.ts';
import { parseJson, positive, v, whole } from '../../core/schema.ts';
import type { ModelConfig } from '../../protocol/manifest.ts';
import { misshapen, type RopeScaling } from '../../protocol/model-config.ts';

/** RoPE's base where a file is silent, in transformers and in ggml. */
export const ropeThetaDefault = 10_000;

const kinds = ['default', 'linear', 'llama3', 'yarn'] as const;
const scalingKind = v.picklist(kinds, `expected one of ${kinds.join(', ')}: other scalings are not run`);
const scalingSchema = v.nullish(
  v.looseObject({
    rope_type: v.optional(scalingKind),
    /** As older files call it. */
    type: v.optional(scalingKind),
    rope_theta: v.optional(positive),
    factor: v.optional(positive),
    low_freq_factor: v.optional(positive),
    high_freq_factor: v.optional(positive),
    original_max_position_embeddings: v.nullish(positive),
    beta_fast: v.nullish(positive),
    beta_slow: v.nullish(positive),
    attention_factor: v.nullish(positive),
  }),
);
type Scaling = v.InferOutput<typeof scalingSchema>;

const no = (what: string) => v.optional(v.literal(false, `expected false: ${what} not run yet`));

/** Defaults are those of transformers; where they differ by architecture they are in `decodeConfig`. */
const configSchema = v.object({
  model_type: v.picklist(['llama', 'qwen2', 'qwen3']),
  num_hidden_layers: whole(1, 256),
  hidden_size: whole(2, 65536),
  intermediate_size: whole(2, 262144),
  num_attention_heads: whole(1, 1024),
  num_key_value_heads: v.nullish(whole(1, 1024)),
  head_dim: v.nullish(whole(2, 65536)),
  vocab_size: whole(2, 1_000_000),
  max_position_embeddings: v.optional(whole(2, 1_000_000)),
  rope_theta: v.optional(positive),
  rope_parameters: scalingSchema,
  rope_scaling: scalingSchema,
  rms_norm_eps: v.optional(positive, 1e-6),
  hidden_act: v.optional(v.literal('silu')),
  attention_bias: v.optional(v.boolean(), false),
  mlp_bias: no('biases of the feed-forward block are'),
  use_sliding_window: no('sliding windows are'),
  layer_types: v.nullish(
    v.array(v.literal('full_attention', 'expected full_attention: sliding windows are not run yet')),
  ),
  tie_word_embeddings: v.optional(v.boolean(), false),
  quantization_config: v.optional(v.null('weights quantised in this way are not read')),
});
type Read = v.InferOutput<typeof configSchema>;

/** The network of a `config.json`. */
export function decodeConfig(text: string, where: string): Result<ModelConfig> {
  const parsed = parseJson(configSchema, text, where);
  if (!parsed.ok) return problem('model', oneLine(parsed.error.text));
  const read = parsed.value;
  const context = read.max_position_embeddings ?? (read.model_type === 'llama' ? 2048 : 32768);
  const scaling = ropeScalingOf(read.rope_scaling ?? read.rope_parameters, context);
  if (!scaling.ok) return problem('model', `${where}: rope_scaling: ${scaling.error.text}`);
  return checkShape(
    {
      architecture: read.model_type,
      layers: read.num_hidden_layers,
      width: read.hidden_size,
      hidden: read.intermediate_size,
      heads: read.num_attention_heads,
      keyValueHeads: read.num_key_value_heads ?? read.num_attention_heads,
      vocabulary: read.vocab_size,
      context,
      ropeTheta: read.rope_theta ?? read.rope_parameters?.rope_theta ?? ropeThetaDefault,
      normEpsilon: read.rms_norm_eps,
      ...ownHeadWidth(read.hidden_size, read.num_attention_heads, headDimOf(read)),
      ...(!read.tie_word_embeddings && { tied: false }),
      ...biasesOf(read),
      ...(read.model_type === 'qwen3' && { queryKeyNorm: true }),
      ...(scaling.value && { ropeScaling: scaling.value }),
    },
    where,
  );
}

const headDimOf = ({ head_dim, model_type }: Read): number | undefined =>
  head_dim ?? (model_type === 'qwen3' ? 128 : undefined);

/** A config's `headWidth`, where it is not width / heads. */
export const ownHeadWidth = (width: number, heads: number, stated: number | undefined): { headWidth?: number } =>
  stated === undefined || stated === width / heads ? {} : { headWidth: stated };

function biasesOf({ model_type, attention_bias }: Read): Pick<ModelConfig, 'attentionBias'> {
  if (model_type === 'qwen2') return { attentionBias: 'inputs' };
  return attention_bias ? { attentionBias: 'all' } : {};
}

/** Defaults of transformers' `modeling_rope_utils.py`. */
function ropeScalingOf(read: Scaling, context: number): Result<RopeScaling | undefined> {
  const kind = read?.rope_type ?? read?.type ?? 'default';
  if (!read || kind === 'default') return ok(undefined);
  const { factor, low_freq_factor: lowFrequency, high_freq_factor: highFrequency } = read;
  const originalContext = read.original_max_position_embeddings ?? undefined;
  if (factor === undefined) return problem('model', `${kind} without a factor`);
  if (kind === 'linear') return ok({ kind, factor });
  if (kind === 'yarn') {
    return ok({
      kind,
      factor,
      originalContext: originalContext ?? context,
      betaFast: read.beta_fast ?? 32,
      betaSlow: read.beta_slow ?? 1,
      attentionFactor: read.attention_factor ?? yarnAttentionFactor(factor),
    });
  }
  if (lowFrequency === undefined || highFrequency === undefined || originalContext === undefined) {
    return problem('model', 'llama3 needs low_freq_factor, high_freq_factor and original_max_position_embeddings');
  }
  if (highFrequency <= lowFrequency) return problem('model', 'high_freq_factor is not above low_freq_factor');
  return ok({ kind, factor, lowFrequency, highFrequency, originalContext });
}

/** Peng et al. 2023, equation 22. */
export const yarnAttentionFactor = (factor: number): number => (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1);

const classOf = { llama: 'LlamaForCausalLM', qwen2: 'Qwen2ForCausalLM', qwen3: 'Qwen3ForCausalLM' } as const;

/** A `config.json` as transformers reads it. */
export const encodeConfig = (config: ModelConfig): string =>
  `${JSON.stringify(
    {
      architectures: [classOf[config.architecture]],
      model_type: config.architecture,
      num_hidden_layers: config.layers,
      hidden_size: config.width,
      intermediate_size: config.hidden,
      num_attention_heads: config.heads,
      num_key_value_heads: config.keyValueHeads,
      ...(config.headWidth !== undefined && { head_dim: config.headWidth }),
      vocab_size: config.vocabulary,
      max_position_embeddings: config.context,
      rope_theta: config.ropeTheta,
      ...(config.ropeScaling && { rope_scaling: encodeScaling(config.ropeScaling) }),
      rms_norm_eps: config.normEpsilon,
      hidden_act: 'silu',
      ...(config.attentionBias === 'all' && { attention_bias: true }),
      tie_word_embeddings: config.tied ?? true,
      torch_dtype: 'float32',
    },
    null,
    2,
  )}\n`;

function encodeScaling(scaling: RopeScaling): object {
  assert(scaling.kind !== 'factors', 'factors of rotary frequencies have no place in a config.json');
  const { kind: rope_type, factor } = scaling;
  if (scaling.kind === 'linear') return { rope_type, factor };
  const original = { original_max_position_embeddings: scaling.originalContext };
  if (scaling.kind === 'llama3') {
    const { lowFrequency: low_freq_factor, highFrequency: high_freq_factor } = scaling;
    return { rope_type, factor, low_freq_factor, high_freq_factor, ...original };
  }
  const { betaFast: beta_fast, betaSlow: beta_slow, attentionFactor: attention_factor } = scaling;
  return { rope_type, factor, beta_fast, beta_slow, attention_factor, ...original };
}

/** The rules that relate one size of a network to another. */
export function checkShape(config: ModelConfig, where: string): Result<ModelConfig> {
  const wrong = misshapen(config);
  return wrong === undefined ? ok(config) : problem('model', `${where}: ${wrong}`);
}
