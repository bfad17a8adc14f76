/**
 * SentencePiece vocabularies out of GGUF metadata: the pieces of llama2.c's tokenizer written as metadata, so that our own
 * merging by scores is what the library's merging by ranks is held against. Skipped where the data is absent.
 */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expectInput } from '../../core/result.ts';
import { decodeLlama2cTokenizer } from '../llama2c-tokenizer.ts';
import { openGgufVocabulary } from './gguf-vocabulary.ts';

const file = '../shared/data/stories260K/tok512.bin';

/** Pieces as `tokenizer.bin` has them, which writes spaces as they are. */
function readPieces(): { text: string; score: number }[] {
  const bytes = readFileSync(file);
  const pieces = [];
  for (let offset = 4; offset < bytes.byteLength;) {
    const length = bytes.readInt32LE(offset + 4);
    pieces.push({ score: bytes.readFloatLE(offset), text: bytes.toString('utf8', offset + 8, offset + 8 + length) });
    offset += 8 + length;
  }
  return pieces;
}

function asMetadata(pieces: readonly { text: string; score: number }[]): Record<string, unknown> {
  return {
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': pieces.map(({ text }, token) =>
      token < 3 ? (['<unk>', '<s>', '</s>'][token] ?? '') : text.replaceAll(' ', '\u2581'),
    ),
    'tokenizer.ggml.scores': pieces.map(({ score }) => score),
    'tokenizer.ggml.token_type': pieces.map((_, token) => (token === 0 ? 2 : token < 3 ? 3 : token < 259 ? 6 : 1)),
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.unknown_token_id': 0,
  };
}

describe.skipIf(!existsSync(file))('SentencePiece out of GGUF', () => {
  const own = () => expectInput(decodeLlama2cTokenizer(readFileSync(file), 512, 'tok512.bin'));
  const open = (changes: Record<string, unknown> = {}) =>
    openGgufVocabulary({ ...asMetadata(readPieces()), ...changes }, { where: 'stories.gguf', rows: 512 });

  test('gives the ids that merging by scores gives, and the texts back, in 1000 lines of two corpora', () => {
    const { tokenizer, chat } = expectInput(open());
    const truth = own();
    const corpus = ['tinyshakespeare.txt', 'names.txt'].flatMap((name) =>
      readFileSync(`../shared/data/text/${name}`, 'utf8').split('\n').slice(0, 500),
    );
    expect(corpus).toHaveLength(1000);
    for (const text of [
      ...corpus,
      '',
      ' ',
      '  a',
      'aaaaaaa',
      'Zoë saw 3 ☃ at 10:15!\n\n\tThe  end ',
      '🦙🦙',
      '<0x41>',
    ]) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(truth.encode(text));
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(truth.decode(truth.encode(text))).toBe(text);
    }
    expect([tokenizer.start, tokenizer.stop]).toEqual([1, [2]]);
    expect(chat).toEqual({ text: undefined, startText: '<s>', endText: '</s>' });
  });

  test("the space in front belongs to a text's beginning only", () => {
    for (const tokenizer of [own(), expectInput(open()).tokenizer]) {
      const ids = tokenizer.encode('Once upon a time', { addSpecial: false });
      expect(ids).not.toContain(1);
      expect(tokenizer.decode(ids)).toBe('Once upon a time');
      expect(tokenizer.decode(ids, { previous: 1 })).toBe('Once upon a time');
      expect(tokenizer.decode(ids, { previous: 300 })).toBe(' Once upon a time');
    }
    const bare = expectInput(open({ 'tokenizer.ggml.add_space_prefix': false, 'tokenizer.ggml.add_bos_token': false }));
    expect(bare.tokenizer.start).toBeUndefined();
    for (const text of ['Once upon a time', ' Once']) {
      const ids = bare.tokenizer.encode(text);
      expect(ids).not.toContain(1);
      expect(bare.tokenizer.decode(ids)).toBe(text);
    }
    expect(bare.tokenizer.encode(' Once')).not.toEqual(bare.tokenizer.encode('Once'));
  });

  test("special tokens in a chat's prompt are tokens, and plain text where that is asked", () => {
    const { tokenizer } = expectInput(open());
    expect(tokenizer.encode('<s>Hi</s>', { addSpecial: false })).toEqual([1, ...tokenizer.encode('Hi').slice(1), 2]);
    const plain = tokenizer.encode('<s>Hi', { parseSpecial: false });
    expect(plain.filter((token) => token === 1)).toHaveLength(1);
    expect(tokenizer.decode(plain)).toBe('<s>Hi');
  });

  test('metadata that is not whole is refused in one line that names the file', () => {
    for (const [changes, line] of [
      [{ 'tokenizer.ggml.model': 'rwkv' }, /tokenizer\.ggml\.model "rwkv" is not supported; gpt2 and llama are/],
      [{ 'tokenizer.ggml.model': undefined }, /tokenizer\.ggml\.model/],
      [{ 'tokenizer.ggml.scores': [1, 2] }, /2 scores for 512 tokens/],
      [{ 'tokenizer.ggml.scores': undefined }, /0 scores for 512 tokens/],
      [{ 'tokenizer.ggml.tokens': [1] }, /tokenizer\.ggml\.tokens/],
      [{ 'tokenizer.ggml.eos_token_id': 700 }, /special token 700 is outside the vocabulary of 512/],
      [{ 'tokenizer.ggml.model': 'gpt2' }, /tokenizer\.ggml\.pre null is not known; known are gpt-2, /],
      [{ 'tokenizer.ggml.model': 'gpt2', 'tokenizer.ggml.pre': 'toString' }, /pre "toString" is not known/],
      [{ 'tokenizer.ggml.model': 'gpt2', 'tokenizer.ggml.pre': 'qwen2' }, /tokenizer\.ggml\.merges is missing/],
    ] as const) {
      const read = open(changes);
      expect(read.ok ? '' : read.error.text).toMatch(line);
      expect(read.ok ? '' : read.error.text).toMatch(/^stories\.gguf: [^\n]+$/);
    }
  });
});
