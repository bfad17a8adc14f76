/**
 * A GGUF file with random weights in the shape of a published model, written to a disk in seconds: large enough to meet every
 * bound that real models meet, and nobody's data. Matrices are random quants under one scale, so that weights spread as
 * those of a fresh network do; they are made as bytes, piece by piece.
 */

import { open } from 'node:fs/promises';
import { llamaLayout, type ParameterTensor } from '../../src/models/llama-parameters.ts';
import { halfBits } from '../../src/kernels/half.ts';
import { ggmlBlockBytes, quantBlock, type QuantFormat } from '../../src/kernels/quant-blocks.ts';
import { encodeGguf, type GgufFile, type GgufTensor } from '../../src/models/weights/encode-gguf.ts';
import { llamaMetadata } from '../../src/models/weights/encode-llama.ts';
import { ggufQwenNames } from '../../src/models/weights/llama-names.ts';
import type { ModelConfig } from '../../src/protocol/manifest.ts';

/** Qwen3-0.6B as its config.json says it: 596 million weights. */
export const qwen3Small: ModelConfig = {
  architecture: 'qwen3',
  layers: 28,
  width: 1024,
  hidden: 3072,
  heads: 16,
  keyValueHeads: 8,
  vocabulary: 151_936,
  context: 40_960,
  ropeTheta: 1e6,
  normEpsilon: 1e-6,
  headWidth: 128,
  queryKeyNorm: true,
};

/** Layers in q4_0 and the embedding in q8_0. The same seed gives the same bytes. */
export function randomGguf(config: ModelConfig, seed: number): GgufFile {
  const layout = llamaLayout(config);
  const tensors = layout.tensors.map((tensor, index): GgufTensor => {
    const { shape } = tensor;
    const name = ggufQwenNames.nameOf(tensor.name);
    if (shape.length === 1)
      return { name, shape, type: 'f32', values: () => [new Float32Array(tensor.elements).fill(1)] };
    const type = tensor === layout.embedding || tensor === layout.head ? 'q8_0' : 'q4_0';
    return { name, shape, type, bytes: () => randomBlocks(tensor, type, seed + index) };
  });
  return { metadata: llamaMetadata(config), tensors };
}

/** So that weights deviate by 0.02: uniform nibbles by 4.6, uniform bytes by 73.9. */
const scales = { q4_0: halfBits(0.02 / 4.6), q8_0: halfBits(0.02 / 73.9) } as const satisfies Record<
  QuantFormat,
  number
>;
const blocksAtOnce = 32_768;

function* randomBlocks({ elements }: ParameterTensor, format: QuantFormat, seed: number): Generator<Uint8Array> {
  const size = ggmlBlockBytes[format];
  const scale = scales[format];
  let state = (seed * 2_654_435_769) >>> 0 || 1;
  for (let left = elements / quantBlock; left > 0; left -= blocksAtOnce) {
    const bytes = new Uint8Array(Math.min(left, blocksAtOnce) * size);
    const words = new Uint32Array(bytes.buffer, 0, bytes.byteLength >>> 2);
    for (let index = 0; index < words.length; index++) {
      // Marsaglia's xorshift32: philox would take minutes.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[index] = state;
    }
    for (let block = 0; block < bytes.byteLength; block += size) {
      bytes[block] = scale & 0xff;
      bytes[block + 1] = scale >>> 8;
    }
    yield bytes;
  }
}

/** Writes the file; returns its bytes. */
export async function writeRandomGguf(path: string, config: ModelConfig, seed: number): Promise<number> {
  const file = await open(path, 'w');
  try {
    let written = 0;
    for (const bytes of encodeGguf(randomGguf(config, seed))) written += (await file.write(bytes)).bytesWritten;
    return written;
  } finally {
    await file.close();
  }
}
