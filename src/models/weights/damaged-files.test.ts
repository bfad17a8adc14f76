/**
 * Good files with bytes flipped, cut off or repeated, many times over, each from a seed that is told: whatever comes of
 * them, it is weights or one line, soon, and without memory beyond what the file's own size explains.
 */

import { expect, test } from 'vitest';
import { memorySource, type ByteSource } from '../../core/byte-source.ts';
import { concatAll, viewBytes } from '../../core/bytes.ts';
import { countingSource } from '../../core/counting-source.fixture.ts';
import { createRandom, type Random } from '../../core/prng.ts';
import { InputError, type Result } from '../../core/result.ts';
import type { ModelConfig } from '../../protocol/manifest.ts';
import { initialParameters, llamaLayout, tensorOf } from '../llama-parameters.ts';
import { encodeGguf } from './encode-gguf.ts';
import { encodeLlama, llamaGguf } from './encode-llama.ts';
import { openGguf } from './gguf.ts';
import { configOfGguf } from './gguf-config.ts';
import { loadParameters } from './llama-weights.ts';
import { openLlama2c } from './llama2c.ts';
import { openSafetensors } from './safetensors.ts';

const seed = Number(process.env['TABSWARM_FUZZ_SEED'] ?? 1);
const rounds = Number(process.env['TABSWARM_FUZZ_ROUNDS'] ?? 400);

const config: ModelConfig = {
  architecture: 'llama',
  layers: 1,
  width: 32,
  hidden: 32,
  heads: 2,
  keyValueHeads: 1,
  vocabulary: 7,
  context: 4,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const parameters = initialParameters(config, 1);

/** A llama2.c file of the same network. */
function llama2cBytes(): Uint8Array {
  const { embedding, layers, norm } = llamaLayout(config);
  const [layer] = layers;
  if (layer === undefined) return new Uint8Array();
  const { attentionNorm, query, key, value, output, feedForwardNorm, gate, down, up } = layer;
  const order = [embedding, attentionNorm, query, key, value, output, feedForwardNorm, gate, down, up, norm];
  const { width, hidden, heads, keyValueHeads, vocabulary, context } = config;
  return concatAll([
    viewBytes(Int32Array.of(width, hidden, 1, heads, keyValueHeads, vocabulary, context)),
    ...order.map((tensor) => viewBytes(tensorOf(parameters, tensor))),
    new Uint8Array(4 * context * (width / heads)),
  ]);
}

const valueOf = <T>(result: Result<T>): T => {
  if (!result.ok) throw new InputError(result.error.text);
  return result.value;
};

interface Kind {
  readonly name: string;
  readonly good: Uint8Array;
  /** Where the interesting bytes end. */
  readonly header: number;
  readonly read: (source: ByteSource) => Promise<Float32Array>;
}

async function readGguf(source: ByteSource): Promise<Float32Array> {
  const file = valueOf(await openGguf(source));
  return loadParameters(valueOf(configOfGguf(file)), file);
}

const kinds: readonly Kind[] = [
  {
    name: 'safetensors',
    good: encodeLlama(config, parameters),
    header: 1200,
    read: async (source) => loadParameters(config, valueOf(await openSafetensors(source))),
  },
  {
    name: 'gguf',
    good: concatAll([...encodeGguf(llamaGguf(config, parameters, 'q4_0'))]),
    header: 1000,
    read: readGguf,
  },
  {
    name: 'llama2c',
    good: llama2cBytes(),
    header: 28,
    read: async (source) => {
      const { config: read, file } = valueOf(await openLlama2c(source));
      return loadParameters(read, file);
    },
  },
];

function damage(good: Uint8Array, header: number, random: Random): Uint8Array {
  const bytes = good.slice();
  const kind = random.below(4);
  if (kind === 0) return bytes.subarray(0, random.below(bytes.length));
  if (kind === 1) return concatAll([bytes, bytes.subarray(0, random.below(bytes.length))]);
  for (let flips = 0; flips <= random.below(3); flips++) {
    const place = random.below(random.below(4) === 0 ? bytes.length : header);
    bytes[place] = kind === 2 ? random.below(256) : (bytes[place] ?? 0) ^ (1 << random.below(8));
  }
  return bytes;
}

test.each(kinds)(
  '$name: a damaged file gives weights or one line',
  { timeout: 120_000 },
  async ({ name, good, header, read }) => {
    expect(await read(memorySource('good', good))).toHaveLength(parameters.length);
    let refused = 0;
    for (let round = 0; round < rounds; round++) {
      const replay = `TABSWARM_FUZZ_SEED=${seed}, ${name}, round ${round}`;
      const bytes = damage(good, header, createRandom(seed, round));
      const source = countingSource(memorySource('damaged', bytes));
      const started = performance.now();
      try {
        const vector = await read(source);
        // Four bits become 32, and no more.
        expect(vector.byteLength, replay).toBeLessThanOrEqual(8 * bytes.length);
      } catch (error) {
        refused++;
        expect(error, replay).toBeInstanceOf(InputError);
        expect(error instanceof Error ? error.message : '', replay).toMatch(/^damaged: [^\n]{1,700}$/);
      }
      // Once for the header, once for the weights, and the GGUF parser's look ahead.
      const all = source.reads.reduce((sum, { start, end }) => sum + end - start, 0);
      expect(all, replay).toBeLessThanOrEqual(3 * bytes.length);
      expect(performance.now() - started, replay).toBeLessThan(10_000);
    }
    console.log(`${name}: ${rounds} damaged files, ${refused} refused, seed ${seed}`);
    expect(refused).toBeGreaterThan(rounds / 4);
  },
);
