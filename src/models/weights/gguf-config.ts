/**
 * What a network is, as a GGUF file's metadata and tensors say it (ggml `docs/gguf.md`, "Models"; llama.cpp
 * `llama_model::load_hparams`). What we cannot run yet is refused here in one line, before a weight is read. Hugging Face's
 * `config.json` is `llama-config.ts`.
 */

import { oneLine, problem, type Result } from '../../core/result.ts';
import { parse } from '../../core/schema.ts';
import { modelConfigSchema, type ModelConfig } from '../../protocol/manifest.ts';
import { headWidth } from '../llama-parameters.ts';
import { checkShape, ropeThetaDefault, yarnAttentionFactor } from './llama-config.ts';
import { quotedName, type TensorFile } from './tensor-file.ts';

const architectures = ['llama', 'qwen2', 'qwen3'];

/** The network of a GGUF file. */
export function configOfGguf(file: TensorFile): Result<ModelConfig> {
  const { name: where, metadata, tensors } = file;
  const refuse = (text: string) => problem('model', `${where}: ${text}`);
  const architecture = metadata['general.architecture'];
  if (typeof architecture !== 'string' || !architectures.includes(architecture)) {
    const called = typeof architecture === 'string' ? quotedName(architecture) : 'none';
    return refuse(`general.architecture is ${called}; ${architectures.join(', ')} are run so far`);
  }
  const of = (key: string): unknown => numberOf(metadata[`${architecture}.${key}`]);
  if (Number(of('expert_count') ?? 0) > 0) {
    return refuse(`a mixture of experts (${architecture}.expert_count) is not run yet`);
  }
  const heads = of('attention.head_count');
  const width = of('embedding_length');
  const keyLength = of('attention.key_length');
  const scaling = scalingOf(file, of);
  if (typeof scaling === 'string') return refuse(`${architecture}.rope.scaling: ${scaling}`);
  const fields = {
    architecture,
    layers: of('block_count'),
    width,
    hidden: of('feed_forward_length'),
    heads,
    keyValueHeads: of('attention.head_count_kv') ?? heads,
    vocabulary: of('vocab_size') ?? tensors.get('token_embd.weight')?.shape[0],
    context: of('context_length'),
    ropeTheta: of('rope.freq_base') ?? ropeThetaDefault,
    normEpsilon: shortestOf(of('attention.layer_norm_rms_epsilon')),
    ...(keyLength !== undefined && keyLength !== Number(width) / Number(heads) && { headWidth: keyLength }),
    ...(!tensors.has('output.weight') ? {} : { tied: false }),
    ...biasesOf(file, architecture),
    ...(architecture === 'qwen3' && { queryKeyNorm: true }),
    ...(scaling && { ropeScaling: scaling }),
  };
  const parsed = parse(modelConfigSchema, fields, `${where}: metadata`);
  if (!parsed.ok) return problem('model', oneLine(parsed.error.text));
  const shaped = checkShape(parsed.value, where);
  if (!shaped.ok) return shaped;
  // Values as wide as keys, and turned throughout.
  for (const key of ['rope.dimension_count', 'attention.value_length']) {
    const stated = of(key);
    if (stated === undefined || stated === headWidth(shaped.value)) continue;
    const only = `only heads of one width (${headWidth(shaped.value)}) are run yet`;
    return refuse(`${architecture}.${key} is ${oneLine(String(stated))}; ${only}`);
  }
  return shaped;
}

/** Qwen 2 always has biases on query, key and value; of a Llama its tensors tell. */
function biasesOf({ tensors }: TensorFile, architecture: string): Pick<ModelConfig, 'attentionBias'> {
  if (tensors.has('blk.0.attn_output.bias')) return { attentionBias: 'all' };
  return architecture === 'qwen2' || tensors.has('blk.0.attn_q.bias') ? { attentionBias: 'inputs' } : {};
}

/** A scaling for the schema to check, or what is wrong in a few words. */
function scalingOf({ tensors }: TensorFile, of: (key: string) => unknown): string | object | undefined {
  const kind = of('rope.scaling.type') ?? 'none';
  const linear = of('rope.scale_linear');
  if (tensors.has('rope_freqs.weight')) {
    return kind === 'none' ? { kind: 'factors' } : 'stands beside rope_freqs.weight; one of them is run';
  }
  if (kind === 'none') return linear === undefined || linear === 1 ? undefined : { kind: 'linear', factor: linear };
  const factor = of('rope.scaling.factor');
  if (kind === 'linear') return { kind, factor };
  if (kind !== 'yarn') return `type ${quotedName(oneLine(String(kind)))} is not run; none, linear and yarn are`;
  return {
    kind,
    factor,
    originalContext: of('rope.scaling.original_context_length') ?? of('context_length'),
    betaFast: of('rope.scaling.yarn_beta_fast') ?? 32,
    betaSlow: of('rope.scaling.yarn_beta_slow') ?? 1,
    // What the file states multiplies the formula's own.
    attentionFactor: Number(of('rope.scaling.attn_factor') ?? 1) * yarnAttentionFactor(Number(factor)),
  };
}

/** GGUF's 64-bit numbers come as bigints; what is none stays as it is, for the schema to refuse. */
const numberOf = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

/** An f32 as its shortest decimal: 1e-5, not 0.000009999999747378752. */
function shortestOf(value: unknown): unknown {
  if (typeof value !== 'number') return value;
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}
