/**
 * What a network is: the sizes of a Llama-shaped transformer, and where Llama and Qwen differ. It stands in manifests, so
 * whatever was added later is optional and means, left out, what networks were before. Reading it from others' files is
 * `models/weights/llama-config.ts`.
 */

import { positive, v, whole } from '../core/schema.ts';

/**
 * How rotary frequencies f(i) = theta^(-2i / headWidth) are changed for contexts longer than a network was first trained on
 * (transformers, `modeling_rope_utils.py`):
 * - `linear`: f / factor.
 * - `llama3` (Llama 3.1): wavelengths above originalContext / lowFrequency become f / factor, those below
 *   originalContext / highFrequency stay, between them it is blended.
 * - `yarn` (Peng et al. 2023): the same by rotations in originalContext, between betaSlow and betaFast, and cosines and sines
 *   grow by `attentionFactor`.
 * - `factors`: each f(i) is divided by element i of the tensor `rope_freqs.weight`, as GGUF files have it.
 */
export const ropeScalingSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('linear'), factor: positive }),
  v.strictObject({
    kind: v.literal('llama3'),
    factor: positive,
    lowFrequency: positive,
    highFrequency: positive,
    originalContext: positive,
  }),
  v.strictObject({
    kind: v.literal('yarn'),
    factor: positive,
    originalContext: positive,
    betaFast: positive,
    betaSlow: positive,
    attentionFactor: positive,
  }),
  v.strictObject({ kind: v.literal('factors') }),
]);
export type RopeScaling = v.InferOutput<typeof ropeScalingSchema>;

export const modelConfigSchema = v.strictObject({
  /** By whose files it is known; the fields below say all that is computed. */
  architecture: v.picklist(['llama', 'qwen2', 'qwen3']),
  layers: whole(1, 256),
  /** Width of the residual stream. */
  width: whole(2, 65536),
  /** Width inside the feed-forward block. */
  hidden: whole(2, 262144),
  heads: whole(1, 1024),
  /** Key and value heads, a divisor of `heads`. */
  keyValueHeads: whole(1, 1024),
  vocabulary: whole(2, 1_000_000),
  /** Longest sequence in tokens. */
  context: whole(2, 1_000_000),
  ropeTheta: positive,
  normEpsilon: positive,
  /** Of one head; left out width / heads. Even. */
  headWidth: v.optional(whole(2, 65536)),
  /** Whether the classifier is the embedding; left out it is. */
  tied: v.optional(v.boolean()),
  /** Which projections of attention have biases; left out none. Qwen 2 has them on query, key and value. */
  attentionBias: v.optional(v.picklist(['inputs', 'all'])),
  /** Whether each head's query and key go through an RMSNorm of its own before they turn, as in Qwen 3; left out not. */
  queryKeyNorm: v.optional(v.boolean()),
  /** Left out: frequencies as they are. */
  ropeScaling: v.optional(ropeScalingSchema),
});
export type ModelConfig = v.InferOutput<typeof modelConfigSchema>;

/** What is wrong between one size and another, or undefined. */
export function misshapen({ heads, keyValueHeads, width, headWidth }: ModelConfig): string | undefined {
  if (heads % keyValueHeads !== 0) return `${keyValueHeads} key and value heads do not divide ${heads} heads`;
  if (headWidth !== undefined) return headWidth % 2 === 0 ? undefined : `head width ${headWidth} is odd`;
  return width % (2 * heads) === 0 ? undefined : `width ${width} is no even multiple of ${heads} heads`;
}

/** What of a network is run and not trained, or undefined where all of it can be trained. */
export function untrainable(config: ModelConfig): string | undefined {
  if (config.tied === false) return 'a classifier of its own (tied: false)';
  if (config.attentionBias !== undefined) return 'biases (attentionBias)';
  if (config.queryKeyNorm === true) return 'norms of query and key (queryKeyNorm)';
  if (config.headWidth !== undefined && config.headWidth * config.heads !== config.width) {
    return `heads of ${config.headWidth}, not of width / heads (headWidth)`;
  }
  return config.ropeScaling === undefined ? undefined : 'scaled rotary positions (ropeScaling)';
}
