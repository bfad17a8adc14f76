/** GPT-2's vocabulary from two forms against 46 texts and ids that llama.cpp publishes; skipped where the data is absent. */

import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { memorySource } from '../../core/byte-source.ts';
import { createRandom, type Random } from '../../core/prng.ts';
import { expectInput } from '../../core/result.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { openGguf } from '../weights/gguf.ts';
import { openGgufVocabulary } from './gguf-vocabulary.ts';
import { openVocabularyAndMerges } from './hugging-face.ts';

const folder = '../shared/data';
const file = `${folder}/gguf/ggml-vocab-gpt-2.gguf`;
const endOfText = 50256;

const readCases = (): readonly { text: string; ids: readonly number[] }[] => {
  // Each text ends with the separator, so that nothing follows the last.
  const texts = readFileSync(`${file}.inp`, 'utf8').split('\n__ggml_vocab_test__\n').slice(0, -1);
  const lines = readFileSync(`${file}.out`, 'utf8').replace(/\n$/, '').split('\n');
  expect(lines).toHaveLength(texts.length);
  return texts.map((text, index) => ({ text, ids: (lines[index] ?? '').match(/\d+/g)?.map(Number) ?? [] }));
};

const readMetadata = async (): Promise<Readonly<Record<string, unknown>>> =>
  expectInput(await openGguf(memorySource(file, readFileSync(file)))).metadata;

async function readTokenizers(): Promise<Record<string, Tokenizer>> {
  const metadata = await readMetadata();
  const vocabulary = readFileSync(`${folder}/tokenizer/gpt2-vocab.json`, 'utf8');
  const merges = readFileSync(`${folder}/tokenizer/gpt2-merges.txt`, 'utf8');
  return {
    gguf: expectInput(openGgufVocabulary(metadata, { where: file, rows: 50257 })).tokenizer,
    pair: expectInput(openVocabularyAndMerges({ vocabulary, merges }, { where: 'gpt2', rows: 50257 })).tokenizer,
  };
}

/** Characters of one to four bytes, spaces and combining marks among them; never half a character. */
function randomText(random: Random): string {
  const ranges = [
    [0x20, 0x7e],
    [0x20, 0x7e],
    [0x09, 0x0d],
    [0xa0, 0x24f],
    [0x300, 0x36f],
    [0x5d0, 0x6ff],
    [0x2000, 0x206f],
    [0x4e00, 0x9fff],
    [0xe000, 0xffff],
    [0x1f300, 0x1faff],
    [0x10000, 0x10ffff],
  ] as const;
  return Array.from({ length: random.below(60) }, () => {
    const [low, high] = ranges[random.below(ranges.length)] ?? [0x20, 0x7e];
    return String.fromCodePoint(low + random.below(high - low + 1));
  }).join('');
}

describe.skipIf(!existsSync(file))('GPT-2', () => {
  let tokenizers: Record<string, Tokenizer> = {};
  beforeAll(async () => {
    tokenizers = await readTokenizers();
  });

  test('46 of 46 texts give the published ids, out of GGUF metadata and out of vocab.json with merges.txt', () => {
    const cases = readCases();
    expect(cases).toHaveLength(46);
    for (const [name, tokenizer] of Object.entries(tokenizers)) {
      const agreeing = cases.filter(({ text, ids }) => tokenizer.encode(text).join(' ') === ids.join(' '));
      expect(agreeing, name).toHaveLength(46);
      for (const { text, ids } of cases) expect(tokenizer.decode(ids), name).toBe(text);
    }
  });

  test('300 random texts (seed 20261122) come back as they were, at once and token by token', () => {
    const random = createRandom(20261122);
    const texts = Array.from({ length: 300 }, () => randomText(random));
    for (const tokenizer of Object.values(tokenizers)) {
      for (const text of [...texts, '\ufeffwith a mark', '<|endoftext|>', '']) {
        const ids = tokenizer.encode(text, { parseSpecial: false });
        expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(text);
        const stream = tokenizer.stream();
        const parts = ids.map((token) => stream.push(token));
        expect(parts.join('') + stream.end()).toBe(text);
        // What was handed out may be shown: it never ends within a character.
        for (const part of parts) expect(part).not.toMatch(/\p{Surrogate}|\ufffd/u);
      }
    }
  });

  test('a character that spans tokens comes with its last one, and what is left of one as U+FFFD', () => {
    for (const tokenizer of Object.values(tokenizers)) {
      const ids = tokenizer.encode('a🦙');
      expect(ids.length).toBeGreaterThan(3);
      const stream = tokenizer.stream();
      expect(ids.map((token) => stream.push(token))).toEqual(['a', ...Array(ids.length - 2).fill(''), '🦙']);
      expect(stream.end()).toBe('');
      const cut = tokenizer.stream();
      for (const token of ids.slice(0, -1)) cut.push(token);
      expect(cut.end()).toBe('\ufffd');
      expect(tokenizer.decode(ids.slice(0, -1))).toBe('a\ufffd');
    }
  });

  test('special tokens: read out of text or not, left out of text or shown; none goes in front', () => {
    for (const tokenizer of Object.values(tokenizers)) {
      expect(tokenizer.start).toBeUndefined();
      expect(tokenizer.stop).toEqual([endOfText]);
      expect(tokenizer.encode('a<|endoftext|>b')).toEqual([64, endOfText, 65]);
      expect(tokenizer.encode('a<|endoftext|>b', { parseSpecial: false })).not.toContain(endOfText);
      expect(tokenizer.decode([64, endOfText, 65])).toBe('ab');
      expect(tokenizer.decode([64, endOfText, 65], { special: true })).toBe('a<|endoftext|>b');
    }
  });

  test('half a character and ids outside the vocabulary are refused in one line', () => {
    for (const tokenizer of Object.values(tokenizers)) {
      expect(() => tokenizer.encode('ab\ud83d')).toThrow(
        /^text: half a character \(lone surrogate U\+D83D\) at position 2/,
      );
      for (const token of [50257, -1, 1.5, Number.NaN])
        expect(() => tokenizer.decode([token])).toThrow(
          /^token \S+ is outside the vocabulary, whose ids are 0 to 50256$/,
        );
    }
  });

  test("a vocabulary that is not the embedding's is refused, one that it is padded to is not", async () => {
    const metadata = await readMetadata();
    const open = (rows: number) => openGgufVocabulary(metadata, { where: 'gpt2.gguf', rows });
    for (const rows of [50256, 60000, 512]) {
      const read = open(rows);
      expect(read.ok ? '' : read.error.text).toMatch(/^gpt2\.gguf: 50257 tokens, the model's embedding has \d+ rows/);
    }
    const padded = expectInput(open(50304)).tokenizer;
    expect(padded.vocabulary).toBe(50304);
    expect(padded.decode([64, 50300])).toBe('a');
  });
});
