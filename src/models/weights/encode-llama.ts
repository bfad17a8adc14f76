/**
 * A network of ours as files for others: `config.json` with `model.safetensors` (f32) in Hugging Face's layout, which is
 * also the checkpoint of a training, and GGUF files in llama.cpp's. Names and rotary order are `llama-names.ts`.
 */

import { GGUFValueType } from '@huggingface/gguf';
import { viewBytes, type Bytes } from '../../core/bytes.ts';
import { chunkBytesMax } from '../../core/limits.ts';
import { quantBlock } from '../../kernels/quant-blocks.ts';
import type { ModelConfig } from '../../protocol/manifest.ts';
import { headWidth, llamaLayout, tensorOf, type ParameterTensor } from '../llama-parameters.ts';
import { rotationOf } from '../rope-scaling.ts';
import type { GgufEntry, GgufFile, GgufTensor, GgufType } from './encode-gguf.ts';
import { yarnAttentionFactor } from './llama-config.ts';
import { ggufNames, ggufQwenNames, hasRotaryRows, huggingFaceNames } from './llama-names.ts';
import { encodeSafetensors } from './safetensors.ts';

/** `model.safetensors` of Hugging Face's class for this architecture. */
export function encodeLlama(config: ModelConfig, parameters: Float32Array): Bytes {
  const tensors = llamaLayout(config).tensors.map((tensor) => {
    return {
      name: huggingFaceNames.nameOf(tensor.name),
      type: 'F32' as const,
      shape: tensor.shape,
      bytes: viewBytes(inHalves(config, tensor, tensorOf(parameters, tensor))),
    };
  });
  // transformers wants to know by whose conventions the file was written.
  return encodeSafetensors(tensors, { format: 'pt' });
}

/** Of tensors with rotary rows, rows 2i and 2i + 1 of each head become its rows i and i + half a head. */
function inHalves(config: ModelConfig, { name, shape }: ParameterTensor, values: Float32Array): Float32Array {
  if (!hasRotaryRows(name)) return values;
  const headRows = headWidth(config);
  const width = shape[1] ?? 1;
  const turned = new Float32Array(values.length);
  for (let row = 0; row < values.length / width; row++) {
    const place = row % headRows;
    const target = row - place + Math.floor(place / 2) + (place % 2) * (headRows / 2);
    turned.set(values.subarray(row * width, (row + 1) * width), target * width);
  }
  return turned;
}

/**
 * A GGUF file of this network, without a vocabulary. Gains stay f32, and matrices whose rows are no whole number of blocks
 * become f16, as llama.cpp does both.
 */
export function llamaGguf(config: ModelConfig, parameters: Float32Array, type: GgufType): GgufFile {
  const { nameOf, pairs } = config.architecture === 'llama' ? ggufNames : ggufQwenNames;
  const ordered = (tensor: ParameterTensor): Float32Array => {
    const values = tensorOf(parameters, tensor);
    return pairs === 'halves' ? inHalves(config, tensor, values) : values;
  };
  const tensors = llamaLayout(config).tensors.map((tensor): GgufTensor => ({
    name: nameOf(tensor.name),
    shape: tensor.shape,
    type: typeOf(tensor, type),
    values: () => piecesOf(ordered(tensor)),
  }));
  return { metadata: llamaMetadata(config), tensors: [...tensors, ...ropeFactors(config)] };
}

/** llama.cpp has Llama 3's scaling as a factor for each pair, by which its frequency is divided. */
function ropeFactors(config: ModelConfig): GgufTensor[] {
  if (config.ropeScaling?.kind !== 'llama3') return [];
  const { ropeScaling: _scaling, ...plain } = config;
  const { frequencies } = rotationOf(config);
  const factors = Float32Array.from(rotationOf(plain).frequencies, (own, pair) => own / (frequencies[pair] ?? NaN));
  return [{ name: 'rope_freqs.weight', shape: [factors.length], type: 'f32', values: () => [factors] }];
}

function typeOf({ shape }: Pick<ParameterTensor, 'shape'>, type: GgufType): GgufType {
  if (shape.length === 1) return 'f32';
  const quantised = type === 'q8_0' || type === 'q4_0';
  return quantised && (shape.at(-1) ?? 0) % quantBlock !== 0 ? 'f16' : type;
}

function* piecesOf(values: Float32Array): Generator<Float32Array> {
  const atOnce = chunkBytesMax / 4;
  for (let start = 0; start < values.length; start += atOnce) yield values.subarray(start, start + atOnce);
}

/** What `configOfGguf` reads. */
export function llamaMetadata(config: ModelConfig): Readonly<Record<string, GgufEntry>> {
  const text = (value: string): GgufEntry => ({ type: GGUFValueType.STRING, value });
  const count = (value: number): GgufEntry => ({ type: GGUFValueType.UINT32, value });
  const real = (value: number): GgufEntry => ({ type: GGUFValueType.FLOAT32, value });
  const scaling = config.ropeScaling;
  const entries = {
    block_count: count(config.layers),
    context_length: count(config.context),
    embedding_length: count(config.width),
    feed_forward_length: count(config.hidden),
    'attention.head_count': count(config.heads),
    'attention.head_count_kv': count(config.keyValueHeads),
    'attention.layer_norm_rms_epsilon': real(config.normEpsilon),
    ...(config.headWidth !== undefined && {
      'attention.key_length': count(config.headWidth),
      'attention.value_length': count(config.headWidth),
    }),
    'rope.dimension_count': count(headWidth(config)),
    'rope.freq_base': real(config.ropeTheta),
    vocab_size: count(config.vocabulary),
    ...((scaling?.kind === 'linear' || scaling?.kind === 'yarn') && {
      'rope.scaling.type': text(scaling.kind),
      'rope.scaling.factor': real(scaling.factor),
    }),
    ...(scaling?.kind === 'yarn' && {
      'rope.scaling.original_context_length': count(scaling.originalContext),
      'rope.scaling.attn_factor': real(scaling.attentionFactor / yarnAttentionFactor(scaling.factor)),
      'rope.scaling.yarn_beta_fast': real(scaling.betaFast),
      'rope.scaling.yarn_beta_slow': real(scaling.betaSlow),
    }),
  };
  const own = Object.entries(entries).map(([key, entry]) => [`${config.architecture}.${key}`, entry] as const);
  return { 'general.architecture': text(config.architecture), ...Object.fromEntries(own) };
}
