/**
 * Weights in llama2.c's first layout (karpathy/llama2.c `export.py`, version 0): seven i32 (width, hidden, layers, heads,
 * key and value heads, vocabulary, longest sequence), then f32 tensors, kind by kind over all layers, then rotary tables
 * that we compute ourselves. A negative vocabulary means a classifier of its own, which we do not take.
 */

import { copyBytes } from '../core/bytes.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { parse } from '../core/schema.ts';
import { modelConfigSchema, type ModelConfig } from '../protocol/manifest.ts';
import { checkShape } from './llama-checkpoint.ts';
import { llamaLayout, tensorOf, type LlamaLayerTensors } from './llama-parameters.ts';

export interface LoadedLlama {
  readonly config: ModelConfig;
  readonly parameters: Float32Array<ArrayBuffer>;
}

const headerBytes = 28;

/** The order of the layered kinds in the file. */
const kinds: readonly (keyof LlamaLayerTensors)[] = [
  'attentionNorm',
  'query',
  'key',
  'value',
  'output',
  'feedForwardNorm',
  'gate',
  'down',
  'up',
];

export function decodeLlama2c(bytes: Uint8Array, where: string): Result<LoadedLlama> {
  if (bytes.byteLength < headerBytes) return problem('llama2c', `${where}: shorter than a llama2.c header (28 bytes)`);
  const header = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const field = (index: number): number => header.getInt32(index * 4, true);
  if (field(5) < 0) return problem('llama2c', `${where}: has a classifier of its own; only tied classifiers are read`);
  const fields = {
    architecture: 'llama',
    width: field(0),
    hidden: field(1),
    layers: field(2),
    heads: field(3),
    keyValueHeads: field(4),
    vocabulary: field(5),
    context: field(6),
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  };
  const parsed = parse(modelConfigSchema, fields, `${where}: not a llama2.c file`);
  if (!parsed.ok) return parsed;
  const shaped = checkShape(parsed.value, where);
  if (!shaped.ok) return shaped;
  const config = shaped.value;
  const layout = llamaLayout(config);
  const rotaryElements = config.context * (config.width / config.heads);
  const expected = headerBytes + 4 * (layout.elements + rotaryElements);
  if (bytes.byteLength !== expected) {
    return problem('llama2c', `${where}: ${bytes.byteLength} bytes, its header asks for ${expected}; fetch it again`);
  }
  const weights = new Float32Array(copyBytes(bytes.subarray(headerBytes)).buffer);
  const parameters = new Float32Array(layout.elements);
  let read = 0;
  const tensors = [
    layout.embedding,
    ...kinds.flatMap((kind) => layout.layers.map((layer) => layer[kind])),
    layout.norm,
  ];
  for (const tensor of tensors) {
    tensorOf(parameters, tensor).set(weights.subarray(read, read + tensor.elements));
    read += tensor.elements;
  }
  if (!parameters.every(Number.isFinite))
    return problem('llama2c', `${where}: has a weight that is not a number; fetch it again`);
  return ok({ config, parameters });
}
