import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../core/bytes.ts';
import { expectInput } from '../core/result.ts';
import {
  bundleBytesMax,
  encodeTokenizerBundle,
  ggufFiles,
  llama2cFiles,
  openTokenizerBundle,
} from './tokenizer-bundle.ts';
import { openGguf } from './weights/gguf.ts';
import { memorySource } from '../core/byte-source.ts';

const data = fileURLToPath(new URL('../../../shared/data', import.meta.url));
const read = (path: string): Uint8Array => new Uint8Array(readFileSync(`${data}/${path}`));

const letters = {
  version: '1.0',
  added_tokens: [{ id: 3, content: '<end>', special: true }],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] },
};
const huggingFace = {
  kind: 'hugging-face',
  tokenizer: JSON.stringify(letters),
  config: JSON.stringify({ eos_token: '<end>', chat_template: '{{ messages[0].content }}' }),
} as const;
const encoded = (vocabulary: number): Uint8Array =>
  expectInput(encodeTokenizerBundle({ version: 1, vocabulary, source: huggingFace }));

describe('what travels with a model', () => {
  test('opens as tokenizer and chat template, with the token that ends a text', () => {
    const { tokenizer, chat } = expectInput(openTokenizerBundle(encoded(4), { where: 'm', rows: 4 }));
    expect(tokenizer.encode('abb')).toEqual([2, 1]);
    expect(tokenizer.stop).toEqual([3]);
    expect(chat).toEqual({ text: '{{ messages[0].content }}', startText: '', endText: '<end>' });
  });

  test('a model without files of its own speaks bytes', () => {
    const bytes = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 256, source: { kind: 'bytes' } }));
    const { tokenizer, chat } = expectInput(openTokenizerBundle(bytes, { where: 'm', rows: 256 }));
    expect(tokenizer.decode(tokenizer.encode('héllo'))).toBe('héllo');
    expect(chat.text).toBeUndefined();
  });

  test.skipIf(!existsSync(data))(
    "llama2.c's and GGUF's vocabularies give the same ids after the way through a bundle",
    async () => {
      const llama2c = llama2cFiles(read('stories260K/tok512.bin'));
      const bytes = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 512, source: llama2c }));
      const { tokenizer } = expectInput(openTokenizerBundle(bytes, { where: 'm', rows: 512 }));
      expect(tokenizer.encode('Once upon a time')).toEqual([1, 403, 407, 261, 378]);

      const file = expectInput(await openGguf(memorySource('gpt-2', read('gguf/ggml-vocab-gpt-2.gguf'))));
      const source = ggufFiles(file.metadata);
      const gguf = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 50257, source }));
      const opened = expectInput(openTokenizerBundle(gguf, { where: 'm', rows: 50257 }));
      expect(opened.tokenizer.encode('Hello world')).toEqual([15496, 995]);
      expect(opened.tokenizer.stop).toEqual([50256]);
    },
  );
});

describe('what is refused', () => {
  const refused = (bytes: Uint8Array, rows = 4): string => {
    const opened = openTokenizerBundle(bytes, { where: 'm', rows });
    return opened.ok ? 'opened' : opened.error.text;
  };

  test.each([
    ['of another model', encoded(4), 512, "m: its tokenizer: made for 4 tokens, the model's embedding has 512 rows"],
    ['not UTF-8', Uint8Array.of(0xff), 4, 'm: its tokenizer: not UTF-8'],
    ['not JSON', utf8('{'), 4, 'm: its tokenizer: not JSON'],
    ['another version', utf8('{"version":2}'), 4, 'm: its tokenizer: version:'],
    ['an unknown field', utf8('{"version":1,"vocabulary":4,"source":{"kind":"bytes"},"x":1}'), 4, 'x: unknown field'],
    ['unknown files', utf8('{"version":1,"vocabulary":4,"source":{"kind":"tiktoken"}}'), 4, 'source.kind'],
    ['bytes of a larger vocabulary', utf8('{"version":1,"vocabulary":300,"source":{"kind":"bytes"}}'), 300, '256'],
    [
      'no llama2.c file',
      utf8('{"version":1,"vocabulary":9,"source":{"kind":"llama2c","file":"AAAAAAAA"}}'),
      9,
      'm: its tokenizer: cut off in piece 0',
    ],
  ])('%s', (_, bytes, rows, line) => {
    expect(refused(bytes, rows)).toContain(line);
  });

  test('one byte too many, before it is read', () => {
    expect(refused(new Uint8Array(bundleBytesMax + 1))).toContain(`at most ${bundleBytesMax} are read`);
  });
});
