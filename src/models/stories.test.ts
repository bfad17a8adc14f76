/** The small trained network of `shared/data` against what llama2.c itself computed; skipped where the data is absent. */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { equalBytes, viewBytes } from '../core/bytes.ts';
import { expectInput } from '../core/result.ts';
import { decodeLlama, encodeLlama } from './llama-checkpoint.ts';
import { decodeLlama2c } from './llama2c.ts';
import { decodeLlama2cTokenizer } from './llama2c-tokenizer.ts';
import { logitsTruth } from './llama-truth.ts';

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

describe.skipIf(!present)('stories260K', () => {
  test("every one of the 200 greedy tokens of llama2.c is the f64 network's lowest-index argmax", () => {
    const { config, parameters } = expectInput(decodeLlama2c(readWeights(), 'stories260K.bin'));
    for (const run of readRuns()) {
      // Greedy decoding in one pass: by induction each token only depends on those before it, which are the oracle's.
      const logits = logitsTruth(config, parameters, run.tokens.slice(0, -1));
      const argmaxAfter = (position: number): number => {
        const row = logits.subarray(position * config.vocabulary, (position + 1) * config.vocabulary);
        return row.indexOf(Math.max(...row));
      };
      expect(run.tokens).toHaveLength(201);
      const first = run.prompt_tokens.length;
      expect(run.tokens.slice(0, first)).toEqual(run.prompt_tokens);
      expect(run.tokens.slice(first)).toEqual(
        run.tokens.slice(first).map((_, index) => argmaxAfter(first - 1 + index)),
      );
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

  test('a truncated, extended or mislabelled file is refused in one line that names it', () => {
    const weights = readWeights();
    const wrongWidth = weights.slice();
    new DataView(wrongWidth.buffer).setInt32(0, 72, true);
    const longer = new Uint8Array(weights.byteLength + 4);
    longer.set(weights);
    const untied = weights.slice();
    new DataView(untied.buffer).setInt32(20, -512, true);
    for (const bytes of [
      weights.subarray(0, 20),
      weights.subarray(0, -4),
      wrongWidth,
      longer,
      untied,
      readTokenizer(),
    ]) {
      const read = decodeLlama2c(bytes, 'some.bin');
      expect(read.ok ? '' : read.error.text).toMatch(/^some\.bin: [^\n]+$/);
    }
    for (const bytes of [readTokenizer().subarray(0, -3), weights]) {
      const read = decodeLlama2cTokenizer(bytes, 512, 'some.bin');
      expect(read.ok ? '' : read.error.text).toMatch(/^some\.bin: [^\n]+$/);
    }
    expect(decodeLlama2cTokenizer(readTokenizer(), 256, 'some.bin').ok).toBe(false);
  });

  test('it survives the way through safetensors bit for bit', () => {
    const { config, parameters } = expectInput(decodeLlama2c(readWeights(), 'stories260K.bin'));
    const read = expectInput(decodeLlama(config, encodeLlama(config, parameters), 'model'));
    expect(equalBytes(viewBytes(read), viewBytes(parameters))).toBe(true);
  });
});
