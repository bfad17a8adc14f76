/**
 * The small trained network of `shared/data` against what llama2.c itself computed, from its own file and from files in
 * others' formats that we made of it; skipped where the data is absent.
 */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { memorySource } from '../core/byte-source.ts';
import { concatAll, equalBytes, viewBytes } from '../core/bytes.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { decodeLlama2cTokenizer } from './llama2c-tokenizer.ts';
import { logitsTruth } from './llama-truth.ts';
import { encodeGguf, type GgufType } from './weights/encode-gguf.ts';
import { encodeLlama, llamaGguf } from './weights/encode-llama.ts';
import { openGguf } from './weights/gguf.ts';
import { configOfGguf } from './weights/gguf-config.ts';
import { decodeConfig, encodeConfig } from './weights/llama-config.ts';
import { loadParameters } from './weights/llama-weights.ts';
import { openLlama2c } from './weights/llama2c.ts';
import { openSafetensors } from './weights/safetensors.ts';

const folder = '../shared/data';
const present = existsSync(`${folder}/stories260K/stories260K.bin`);

interface Run {
  readonly prompt: string;
  readonly prompt_tokens: number[];
  readonly tokens: number[];
  readonly text: string;
}

const readWeights = () => new Uint8Array(readFileSync(`${folder}/stories260K/stories260K.bin`));
const readTokenizer = () => new Uint8Array(readFileSync(`${folder}/stories260K/tok512.bin`));
const readRuns = () =>
  (JSON.parse(readFileSync(`${folder}/oracle/stories260K_greedy.json`, 'utf8')) as { runs: Run[] }).runs;

async function openStories() {
  const { config, file } = expectInput(await openLlama2c(memorySource('stories260K.bin', readWeights())));
  return { config, parameters: await loadParameters(config, file) };
}

/**
 * How many generated tokens are the oracle's before the first that is not, and by how much that one was ahead. In one pass:
 * by induction each token only depends on those before it, which are the oracle's up to there.
 */
function agreement(config: ModelConfig, parameters: Float32Array, run: Run) {
  const logits = logitsTruth(config, parameters, run.tokens.slice(0, -1));
  const first = run.prompt_tokens.length;
  expect(run.tokens).toHaveLength(201);
  expect(run.tokens.slice(0, first)).toEqual(run.prompt_tokens);
  for (let place = first; place < run.tokens.length; place++) {
    const row = logits.subarray((place - 1) * config.vocabulary, place * config.vocabulary);
    const best = Math.max(...row);
    const token = run.tokens[place] ?? -1;
    if (row.indexOf(best) !== token) return { tokens: place - first, gap: best - (row[token] ?? NaN), logits };
  }
  return { tokens: run.tokens.length - first, gap: 0, logits };
}

// The network in f64 takes seconds where others compute too.
describe.skipIf(!present)('stories260K', { timeout: 60_000 }, () => {
  test("every one of the 200 greedy tokens of llama2.c is the f64 network's lowest-index argmax", async () => {
    const { config, parameters } = await openStories();
    for (const run of readRuns()) {
      expect(agreement(config, parameters, run).tokens).toBe(run.tokens.length - run.prompt_tokens.length);
    }
  });

  test("its tokenizer gives the prompts' ids, and the text of the ids", () => {
    const tokenizer = expectInput(decodeLlama2cTokenizer(readTokenizer(), 512, 'tok512.bin'));
    for (const run of readRuns()) {
      expect(tokenizer.encode(run.prompt)).toEqual(run.prompt_tokens);
      expect(tokenizer.decode(run.tokens)).toBe(run.text);
    }
    for (const text of ['Once upon a time', 'Zoë saw 3 ☃ at 10:15!\n']) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });

  test('a truncated, extended or mislabelled file is refused in one line that names it', async () => {
    const weights = readWeights();
    const changed = (place: number, value: number): Uint8Array => {
      const copy = weights.slice();
      new DataView(copy.buffer).setInt32(place, value, true);
      return copy;
    };
    const longer = new Uint8Array(weights.byteLength + 4);
    longer.set(weights);
    const wrongWidth = changed(0, 72);
    const untied = changed(20, -512);
    for (const bytes of [
      weights.subarray(0, 20),
      weights.subarray(0, -4),
      wrongWidth,
      longer,
      untied,
      readTokenizer(),
    ]) {
      const read = await openLlama2c(memorySource('some.bin', bytes));
      expect(read.ok ? '' : read.error.text).toMatch(/^some\.bin: [^\n]+$/);
    }
    for (const bytes of [readTokenizer().subarray(0, -3), weights]) {
      const read = decodeLlama2cTokenizer(bytes, 512, 'some.bin');
      expect(read.ok ? '' : read.error.text).toMatch(/^some\.bin: [^\n]+$/);
    }
    expect(decodeLlama2cTokenizer(readTokenizer(), 256, 'some.bin').ok).toBe(false);
    const notANumber = changed(28 + 4 * 1000, 0x7fc00000);
    const { config, file } = expectInput(await openLlama2c(memorySource('some.bin', notANumber)));
    const reading = loadParameters(config, file);
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(/^some\.bin: tensor tok_embeddings\.weight: element 1000 is NaN/);
  });

  test("saved in Hugging Face's layout and read back it is the same bit for bit", async () => {
    const { config, parameters } = await openStories();
    const source = memorySource('model.safetensors', encodeLlama(config, parameters));
    const file = expectInput(await openSafetensors(source));
    expect(file.tensors.has('model.layers.4.self_attn.q_proj.weight')).toBe(true);
    const readConfig = expectInput(decodeConfig(encodeConfig(config), 'config.json'));
    expect(readConfig).toEqual(config);
    expect(equalBytes(viewBytes(await loadParameters(readConfig, file)), viewBytes(parameters))).toBe(true);
  });

  const asGguf = async (type: GgufType) => {
    const { config, parameters } = await openStories();
    const bytes = concatAll([...encodeGguf(llamaGguf(config, parameters, type))]);
    const file = expectInput(await openGguf(memorySource('stories.gguf', bytes)));
    expect(expectInput(configOfGguf(file))).toEqual(config);
    return { config, original: parameters, parameters: await loadParameters(config, file), bytes: bytes.byteLength };
  };

  test('as GGUF f32 it is the same bit for bit', async () => {
    const { parameters, original } = await asGguf('f32');
    expect(equalBytes(viewBytes(parameters), viewBytes(original))).toBe(true);
  });

  // Differences as parts of the largest logit.
  test.each<[GgufType, { tokens: number; difference: number }]>([
    ['f16', { tokens: 200, difference: 1e-3 }],
    ['q8_0', { tokens: 50, difference: 2e-2 }],
    // Four bits are coarse for a network this small; what it says is still near.
    ['q4_0', { tokens: 0, difference: 0.5 }],
  ])('as GGUF %s it loads, and tells the story as far as its precision carries', async (type, least) => {
    const { config, parameters, original, bytes } = await asGguf(type);
    for (const run of readRuns()) {
      const exact = agreement(config, original, run);
      const read = agreement(config, parameters, run);
      const differences = read.logits.map((logit, index) => Math.abs(logit - (exact.logits[index] ?? NaN)));
      const most = Math.max(...differences);
      const over = differences.filter((difference) => !(difference <= 1e-2)).length;
      const scale = Math.max(...exact.logits.map(Math.abs));
      console.log(
        `${type}: ${bytes} bytes, ${read.tokens} of ${exact.tokens} tokens agree; of logits up to ${scale.toFixed(1)} the worst ` +
          `differs by ${most.toPrecision(3)}, ${over} of ${differences.length} by more than 1e-2` +
          (read.gap > 0 ? `; the first other token leads by ${read.gap.toPrecision(3)}` : ''),
      );
      expect(read.tokens).toBeGreaterThanOrEqual(Math.min(least.tokens, exact.tokens));
      expect(most / scale).toBeLessThan(least.difference);
    }
  });
});
