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
import type { GgufEntry, GgufFile, GgufType } from './encode-gguf.ts';
import { ggufNames, hasRotaryRows, huggingFaceNames } from './llama-names.ts';
import { encodeSafetensors } from './safetensors.ts';

/** `model.safetensors` of Hugging Face's `LlamaForCausalLM`, its classifier being the embedding. */
export function encodeLlama(config: ModelConfig, parameters: Float32Array): Bytes {
  const tensors = llamaLayout(config).tensors.map((tensor) => {
    const values = tensorOf(parameters, tensor);
    const turned = hasRotaryRows(tensor.name) ? pairsToHalves(values, config.width, headWidth(config)) : values;
    return {
      name: huggingFaceNames.nameOf(tensor.name),
      type: 'F32' as const,
      shape: tensor.shape,
      bytes: viewBytes(turned),
    };
  });
  // transformers wants to know by whose conventions the file was written.
  return encodeSafetensors(tensors, { format: 'pt' });
}

/** Rows 2i and 2i + 1 of each head become its rows i and i + half a head. */
function pairsToHalves(values: Float32Array, width: number, headRows: number): Float32Array {
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
  return {
    metadata: llamaMetadata(config),
    tensors: llamaLayout(config).tensors.map((tensor) => ({
      name: ggufNames.nameOf(tensor.name),
      shape: tensor.shape,
      type: typeOf(tensor, type),
      values: () => piecesOf(tensorOf(parameters, tensor)),
    })),
  };
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
  return {
    'general.architecture': text('llama'),
    'llama.block_count': count(config.layers),
    'llama.context_length': count(config.context),
    'llama.embedding_length': count(config.width),
    'llama.feed_forward_length': count(config.hidden),
    'llama.attention.head_count': count(config.heads),
    'llama.attention.head_count_kv': count(config.keyValueHeads),
    'llama.attention.layer_norm_rms_epsilon': real(config.normEpsilon),
    'llama.rope.dimension_count': count(headWidth(config)),
    'llama.rope.freq_base': real(config.ropeTheta),
    'llama.vocab_size': count(config.vocabulary),
  };
}
