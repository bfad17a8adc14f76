/**
 * Weights in llama2.c's first layout (karpathy/llama2.c `export.py`, version 0): seven i32 (width, hidden, layers, heads,
 * key and value heads, vocabulary, longest sequence), then f32 tensors, kind by kind over all layers, then rotary tables
 * that we compute ourselves. The file has no names, so its tensors get ours. A negative vocabulary means a classifier of
 * its own, which we do not take.
 */

import type { ByteSource } from '../../core/byte-source.ts';
import { ok, problem, type Result } from '../../core/result.ts';
import { parse } from '../../core/schema.ts';
import { modelConfigSchema, type ModelConfig } from '../../protocol/manifest.ts';
import { headWidth, llamaLayout, type ParameterTensor } from '../llama-parameters.ts';
import { checkShape } from './llama-config.ts';
import type { StoredTensor, TensorFile } from './tensor-file.ts';

export interface Llama2cFile {
  readonly config: ModelConfig;
  readonly file: TensorFile;
}

const headerBytes = 28;

/** The order of the layered kinds in the file. */
const kinds = ['attentionNorm', 'query', 'key', 'value', 'output', 'feedForwardNorm', 'gate', 'down', 'up'] as const;

export async function openLlama2c(source: ByteSource): Promise<Result<Llama2cFile>> {
  const where = source.name;
  if (source.bytes < headerBytes) return problem('llama2c', `${where}: shorter than a llama2.c header (28 bytes)`);
  const header = new DataView((await source.read(0, headerBytes)).buffer);
  const field = (index: number): number => header.getInt32(index * 4, true);
  const fields = {
    architecture: 'llama',
    width: field(0),
    hidden: field(1),
    layers: field(2),
    heads: field(3),
    keyValueHeads: field(4),
    vocabulary: Math.abs(field(5)),
    context: field(6),
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
    // A negative vocabulary says that the classifier is not the embedding; it stands after the rotary tables.
    ...(field(5) < 0 && { tied: false }),
  };
  const parsed = parse(modelConfigSchema, fields, `${where}: not a llama2.c file`);
  if (!parsed.ok) return parsed;
  const shaped = checkShape(parsed.value, where);
  if (!shaped.ok) return shaped;
  const config = shaped.value;
  const layout = llamaLayout(config);
  const expected = headerBytes + 4 * (layout.elements + config.context * headWidth(config));
  if (source.bytes !== expected) {
    return problem('llama2c', `${where}: ${source.bytes} bytes, its header asks for ${expected}; fetch it again`);
  }
  const tensors = new Map<string, StoredTensor>();
  let start = headerBytes;
  const order = [layout.embedding, ...kinds.flatMap((kind) => layout.layers.map((layer) => layer[kind])), layout.norm];
  const place = ({ name, shape, elements }: ParameterTensor): void => {
    tensors.set(name, { name, type: 'f32', shape, source, start, end: start + 4 * elements });
    start += 4 * elements;
  };
  order.forEach(place);
  start += 4 * config.context * headWidth(config);
  if (layout.head !== undefined) place(layout.head);
  return ok({ config, file: { name: where, tensors, metadata: {} } });
}
