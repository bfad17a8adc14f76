/**
 * The tensors of a weight file as those of a network: each parameter with the stored tensor that it comes from, names and
 * rotary order translated, shapes compared, before any weight is read. `streamParameter` then gives them piece by piece
 * to whoever places them on a GPU; `readParameters` lays them all into the flat vector.
 */

import type { ByteSource } from '../../core/byte-source.ts';
import { InputError, ok, problem, type Result } from '../../core/result.ts';
import type { ModelConfig } from '../../protocol/manifest.ts';
import { headWidth, llamaLayout, tensorOf, type ParameterTensor } from '../llama-parameters.ts';
import { hasRotaryRows, namingOf } from './llama-names.ts';
import { streamTensor, type StreamOptions, type ValuesPiece } from './stream-tensor.ts';
import { describeTensor, quotedName, type StoredTensor, type TensorFile } from './tensor-file.ts';

export interface StoredParameter {
  readonly parameter: ParameterTensor;
  readonly stored: StoredTensor;
  /** For `StreamOptions`: set where rows must come as neighbours. */
  readonly headRows: number | undefined;
}

export interface LlamaWeights {
  readonly config: ModelConfig;
  /** In the order of the flat vector. */
  readonly parameters: readonly StoredParameter[];
}

/** Every parameter's stored tensor, or the first tensor that is missing, of another shape or type, or too many. */
export function matchLlama(config: ModelConfig, file: TensorFile): Result<LlamaWeights> {
  const refuse = (text: string) => problem('model', `${file.name}: ${text}`);
  const naming = namingOf(file);
  if (!naming.ok) return naming;
  const { nameOf, pairs, needless } = naming.value;
  const left = new Map(file.tensors);
  const parameters: StoredParameter[] = [];
  for (const parameter of llamaLayout(config).tensors) {
    const name = nameOf(parameter.name);
    const stored = left.get(name);
    if (stored === undefined) return refuse(`lacks tensor ${name}`);
    left.delete(name);
    if (stored.shape.join() !== parameter.shape.join()) {
      return refuse(`tensor ${name} is ${describeTensor(stored)}, expected [${parameter.shape.join(', ')}]`);
    }
    if (!/^(f|bf|q)\d/.test(stored.type))
      return refuse(`tensor ${name} is ${stored.type}, weights are floats or quants`);
    const turned = pairs === 'halves' && hasRotaryRows(parameter.name);
    parameters.push({ parameter, stored, headRows: turned ? headWidth(config) : undefined });
  }
  const extra = [...left.keys()].find((name) => !needless.test(name));
  if (extra !== undefined) return refuse(`tensor ${quotedName(extra)} is none of this network's`);
  return ok({ config, parameters });
}

/** The parameters of a flat f32 vector, as `llama-parameters.ts` lays it out: of a training, of an artifact, or in memory. */
export function vectorWeights(config: ModelConfig, source: ByteSource): Result<LlamaWeights> {
  const { tensors, elements } = llamaLayout(config);
  if (source.bytes !== 4 * elements) {
    return problem('model', `${source.name}: ${source.bytes} bytes, this network has ${elements} f32 parameters`);
  }
  const parameters = tensors.map((parameter): StoredParameter => {
    const { name, shape, offset } = parameter;
    const stored = { name, shape, type: 'f32' as const, source, start: 4 * offset };
    return { parameter, stored: { ...stored, end: 4 * (offset + parameter.elements) }, headRows: undefined };
  });
  return ok({ config, parameters });
}

/** A parameter's numbers in our order. Rejects with an `InputError` that names the tensor. */
export const streamParameter = (
  { stored, headRows }: StoredParameter,
  options: Omit<StreamOptions, 'headRows'> = {},
): AsyncGenerator<ValuesPiece> => streamTensor(stored, { ...options, headRows });

/** All parameters as one flat vector: that vector and two pieces are all the memory that it takes. */
export async function readParameters({ config, parameters }: LlamaWeights): Promise<Float32Array<ArrayBuffer>> {
  const vector = new Float32Array(llamaLayout(config).elements);
  for (const one of parameters) {
    const target = tensorOf(vector, one.parameter);
    for await (const { start, values } of streamParameter(one)) target.set(values, start);
  }
  return vector;
}

/** The flat vector of a file that holds this network; rejects with an `InputError` where it does not. */
export async function loadParameters(config: ModelConfig, file: TensorFile): Promise<Float32Array<ArrayBuffer>> {
  const weights = matchLlama(config, file);
  if (!weights.ok) throw new InputError(weights.error.text);
  return readParameters(weights.value);
}
