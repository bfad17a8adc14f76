/**
 * A Llama network as files: `model.safetensors` (f32) and `config.json`. The config uses
 * the field names of Hugging Face's Llama so that people recognise it, and says that rotary pairs are interleaved.
 */

import { copyBytes, viewBytes, type Bytes } from '../core/bytes.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { parseJson, positive, v, whole } from '../core/schema.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { llamaLayout, tensorOf } from './llama-parameters.ts';
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts';

const configSchema = v.object({
  model_type: v.literal('llama'),
  num_hidden_layers: whole(1, 256),
  hidden_size: whole(2, 65536),
  intermediate_size: whole(2, 262144),
  num_attention_heads: whole(1, 1024),
  num_key_value_heads: whole(1, 1024),
  vocab_size: whole(2, 1_000_000),
  max_position_embeddings: whole(2, 1_000_000),
  rope_theta: positive,
  rope_interleaved: v.literal(true, 'expected true: rotary pairs must be neighbours'),
  rms_norm_eps: positive,
  tie_word_embeddings: v.literal(true, 'expected true: the classifier must be the embedding'),
});

export const encodeConfig = (config: ModelConfig): string =>
  `${JSON.stringify(
    {
      model_type: config.architecture,
      num_hidden_layers: config.layers,
      hidden_size: config.width,
      intermediate_size: config.hidden,
      num_attention_heads: config.heads,
      num_key_value_heads: config.keyValueHeads,
      vocab_size: config.vocabulary,
      max_position_embeddings: config.context,
      rope_theta: config.ropeTheta,
      rope_interleaved: true,
      rms_norm_eps: config.normEpsilon,
      tie_word_embeddings: true,
    } satisfies v.InferOutput<typeof configSchema>,
    null,
    2,
  )}\n`;

export function decodeConfig(text: string, where: string): Result<ModelConfig> {
  const parsed = parseJson(configSchema, text, where);
  if (!parsed.ok) return parsed;
  const read = parsed.value;
  return checkShape(
    {
      architecture: read.model_type,
      layers: read.num_hidden_layers,
      width: read.hidden_size,
      hidden: read.intermediate_size,
      heads: read.num_attention_heads,
      keyValueHeads: read.num_key_value_heads,
      vocabulary: read.vocab_size,
      context: read.max_position_embeddings,
      ropeTheta: read.rope_theta,
      normEpsilon: read.rms_norm_eps,
    },
    where,
  );
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

export function encodeLlama(
  config: ModelConfig,
  parameters: Float32Array,
  metadata: Readonly<Record<string, string>> = {},
): Bytes {
  const tensors = llamaLayout(config).tensors.map((tensor) => ({
    name: tensor.name,
    type: 'F32' as const,
    shape: tensor.shape,
    bytes: viewBytes(tensorOf(parameters, tensor)),
  }));
  return encodeSafetensors({ tensors, metadata });
}

/** The flat vector of a checkpoint whose tensors are exactly those of the network. */
export function decodeLlama(config: ModelConfig, bytes: Uint8Array, where: string): Result<Float32Array<ArrayBuffer>> {
  const file = decodeSafetensors(bytes, where);
  if (!file.ok) return file;
  const layout = llamaLayout(config);
  const byName = new Map(file.value.tensors.map((tensor) => [tensor.name, tensor]));
  const vector = new Float32Array(layout.elements);
  for (const tensor of layout.tensors) {
    const found = byName.get(tensor.name);
    if (found === undefined) return problem('model', `${where}: lacks tensor ${tensor.name}`);
    byName.delete(tensor.name);
    const shape = `[${tensor.shape.join(', ')}]`;
    if (found.type !== 'F32' || `[${found.shape.join(', ')}]` !== shape) {
      return problem(
        'model',
        `${where}: tensor ${tensor.name} is ${found.type} [${found.shape.join(', ')}], expected F32 ${shape}`,
      );
    }
    tensorOf(vector, tensor).set(new Float32Array(copyBytes(found.bytes).buffer));
  }
  const [extra] = byName.keys();
  if (extra !== undefined) return problem('model', `${where}: tensor ${extra} is none of this network's`);
  return ok(vector);
}
