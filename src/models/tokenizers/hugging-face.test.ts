/** Tokenizers out of repository files, on a vocabulary of bytes and a few merges written here; and files that are broken. */

import { describe, expect, test } from 'vitest';
import { expectInput } from '../../core/result.ts';
import { openGgufVocabulary } from './gguf-vocabulary.ts';
import { openHuggingFace, type HuggingFaceFiles } from './hugging-face.ts';
import { byteCharacters } from './pieces.ts';

const merges = ['1 2', '12 3', '123 4', 'h i', 'Ġ hi'];
const pieces = [...byteCharacters, ...merges.map((merge) => merge.replace(' ', ''))];
const ids = { '12': 256, '123': 257, '1234': 258, hi: 259, Ġhi: 260, start: 261, end: 262, turn: 263, think: 264 };
const specials = ['<|start|>', '<|endoftext|>', '<|im_end|>'];
const byte = (text: string): number => text.charCodeAt(0);

const form = (changes: object = {}): Record<string, unknown> => ({
  version: '1.0',
  added_tokens: [
    ...specials.map((content, index) => ({ id: ids.start + index, content, special: true })),
    { id: ids.think, content: '<think>', special: false },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])), merges },
  ...changes,
});
const template = {
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: '<|start|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [],
  special_tokens: { '<|start|>': { id: '<|start|>', ids: [ids.start], tokens: ['<|start|>'] } },
};

const read = (changes: object = {}, files: Partial<HuggingFaceFiles> = {}, rows?: number) =>
  openHuggingFace(
    { tokenizer: JSON.stringify(form(changes)), ...files },
    { where: 'some/model', ...(rows === undefined ? {} : { rows }) },
  );
const open = (changes: object = {}, files: Partial<HuggingFaceFiles> = {}) => expectInput(read(changes, files));
const config = (fields: object): Partial<HuggingFaceFiles> => ({ config: JSON.stringify(fields) });

describe('tokenizer.json', () => {
  test('merges, special tokens and words of a user become ids, and text again', () => {
    const { tokenizer } = open();
    expect(tokenizer.vocabulary).toBe(265);
    expect(tokenizer.encode('hi hi1234<|im_end|><think>')).toEqual([
      ids.hi,
      ids['Ġhi'],
      ids['1234'],
      ids.turn,
      ids.think,
    ]);
    expect(tokenizer.decode([ids.hi, ids['Ġhi'], ids.turn, ids.think])).toBe('hi hi<think>');
    expect(tokenizer.decode([ids.hi, ids.turn], { special: true })).toBe('hi<|im_end|>');
    const plain = tokenizer.encode('<|im_end|>', { parseSpecial: false });
    expect(plain).not.toContain(ids.turn);
    expect(tokenizer.decode(plain)).toBe('<|im_end|>');
  });

  test('the start token goes in front where the post-processor or the configuration says so', () => {
    const names = { bos_token: '<|start|>', eos_token: { content: '<|endoftext|>', special: true } };
    const byPostProcessor = open({ post_processor: template }, config(names)).tokenizer;
    const byConfig = open({}, config({ ...names, add_bos_token: true })).tokenizer;
    for (const tokenizer of [byPostProcessor, byConfig]) {
      expect(tokenizer.start).toBe(ids.start);
      expect(tokenizer.encode('hi')).toEqual([ids.start, ids.hi]);
      expect(tokenizer.encode('')).toEqual([ids.start]);
      expect(tokenizer.encode('hi', { addSpecial: false })).toEqual([ids.hi]);
    }
    const against = open({ post_processor: template }, config({ ...names, add_bos_token: false })).tokenizer;
    for (const tokenizer of [against, open({}, config(names)).tokenizer]) {
      expect(tokenizer.start).toBeUndefined();
      expect(tokenizer.encode('hi')).toEqual([ids.hi]);
    }
  });

  test('several ids stop: the configured end, generation_config.json, and tokens known to end a turn', () => {
    const generation = JSON.stringify({ eos_token_id: [ids.think, ids.end] });
    const { tokenizer } = open({}, { ...config({ eos_token: '<|endoftext|>' }), generation });
    expect(tokenizer.stop).toEqual([ids.end, ids.think, ids.turn]);
  });

  test('the chat template comes from its own file, from the configuration, or by the name "default"', () => {
    const list = [
      { name: 'tool_use', template: 'T' },
      { name: 'default', template: 'D' },
    ];
    expect(open({}, config({ chat_template: 'C', eos_token: '</s>' })).chat).toEqual({
      text: 'C',
      startText: '',
      endText: '</s>',
    });
    expect(open({}, config({ chat_template: list })).chat.text).toBe('D');
    expect(open({}, { ...config({ chat_template: 'C' }), template: 'F' }).chat.text).toBe('F');
    expect(open().chat.text).toBeUndefined();
  });

  test("SentencePiece's decoders: bytes, spaces, and the one in front", () => {
    const vocab = { '<unk>': 0, '\u2581': 1, a: 2, '\u2581a': 3, '<0xC3>': 4, '<0xAB>': 5 };
    const sentencePiece = {
      added_tokens: [{ id: 0, content: '<unk>', special: true }],
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '\u2581' },
          { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
        ],
      },
      pre_tokenizer: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: { type: 'BPE', vocab, merges: [['\u2581', 'a']], unk_token: '<unk>', fuse_unk: true, byte_fallback: true },
    };
    const { tokenizer } = open(sentencePiece);
    expect(tokenizer.encode('a aë')).toEqual([3, 3, 4, 5]);
    expect(tokenizer.decode([3, 3, 4, 5])).toBe('a aë');
    expect(tokenizer.decode([3, 4, 5], { previous: 2 })).toBe(' aë');
    const metaspace = { ...sentencePiece, normalizer: null, pre_tokenizer: { type: 'Metaspace' } };
    const unigram = {
      ...metaspace,
      decoder: { type: 'Metaspace' },
      model: {
        type: 'Unigram',
        unk_id: 0,
        vocab: [
          ['<unk>', 0],
          ['\u2581', -3],
          ['a', -2],
          ['\u2581a', -1],
        ],
      },
    };
    const scored = open(unigram).tokenizer;
    expect(scored.encode('a aa')).toEqual([3, 3, 2]);
    expect(scored.decode([3, 3, 2])).toBe('a aa');
  });

  test('what is broken is refused in one line that names the file', () => {
    const model = form()['model'] as object;
    for (const [broken, line] of [
      [read({}, { tokenizer: '{"model":' }), /^some\/model tokenizer\.json: /],
      [read({}, { config: 'no' }), /^some\/model tokenizer_config\.json: /],
      [read({}, { generation: '{"eos_token_id":"x"}' }), /^some\/model generation_config\.json: eos_token_id/],
      [read({}, { tokenizer: '[]' }), /^some\/model tokenizer\.json: /],
      [
        read({ model: { ...model, type: 'WordPiece' } }),
        /tokenizer model "WordPiece" is not supported; BPE and Unigram/,
      ],
      [read({ model: { type: 'BPE', vocab: { a: 0 } } }), /BPE without a list of merges/],
      [read({ model: { type: 'BPE', vocab: [], merges } }), /BPE without a vocabulary/],
      [read({ model: { type: 'Unigram', vocab: {} } }), /Unigram without a list/],
      [read({ model: { ...model, vocab: { a: 1e9 } } }), /token "a" has the id 1000000000/],
      [read({ model: { ...model, vocab: { a: 'x' } } }), /token "a" has the id "x"/],
      [read({ model: { ...model, vocab: {} }, added_tokens: [] }), /the vocabulary is empty/],
      [read({ decoder: { type: 'WordPiece' } }), /decoder "WordPiece" is not supported/],
      [read({ decoder: null }), /decoder null is not supported/],
      [read({ pre_tokenizer: { type: 'Telepathy' } }), /not a tokenizer that can be read: Unknown PreTokenizer/],
      [read({ pre_tokenizer: { type: 'Split', pattern: { Regex: '(' } } }), /not a tokenizer that can be read: /],
      [read({}, {}, 200), /265 tokens, the model's embedding has 200 rows/],
      [read({}, {}, 32000), /265 tokens, the model's embedding has 32000 rows/],
      [read({}, { generation: '{"eos_token_id":9999}' }), /special token 9999 is outside the vocabulary of 265/],
    ] as const) {
      const text = broken.ok ? '' : broken.error.text;
      expect(text).toMatch(line);
      expect(text).toMatch(/^some\/model [^\n]+$/);
    }
  });

  test('a character that the vocabulary lacks is refused, not dropped', () => {
    for (const unknown of [{}, { unk_token: null }, { unk_token: 'b' }]) {
      const model = { type: 'BPE', vocab: { a: 0 }, merges: [], ...unknown };
      const { tokenizer } = open({ model, added_tokens: [], pre_tokenizer: null });
      expect(tokenizer.encode('a')).toEqual([0]);
      expect(() => tokenizer.encode('az')).toThrow(
        /^text: holds a character that the model's vocabulary has nothing for$/,
      );
    }
  });
});

test("GGUF's named pre-tokenizers cut numbers as their families do", () => {
  const tokenizerOf = (pre: string) =>
    expectInput(
      openGgufVocabulary(
        {
          'tokenizer.ggml.model': 'gpt2',
          'tokenizer.ggml.pre': pre,
          'tokenizer.ggml.tokens': [...pieces, ...specials],
          'tokenizer.ggml.token_type': [...pieces.map(() => 1), 3, 3, 3],
          'tokenizer.ggml.merges': merges,
          'tokenizer.ggml.bos_token_id': ids.start,
          'tokenizer.ggml.eos_token_id': ids.end,
          'tokenizer.ggml.eot_token_id': ids.turn,
        },
        { where: 'some.gguf' },
      ),
    ).tokenizer;
  const singles = [...'1234'].map(byte);
  for (const [pre, numbers] of [
    ['gpt-2', [ids['1234']]],
    ['llama-bpe', [ids['123'], byte('4')]],
    ['qwen2', singles],
    ['smollm', singles],
  ] as const) {
    const tokenizer = tokenizerOf(pre);
    expect(tokenizer.encode('1234', { addSpecial: false }), pre).toEqual(numbers);
    expect(tokenizer.encode('hi hi', { addSpecial: false }), pre).toEqual([ids.hi, ids['Ġhi']]);
    expect(tokenizer.start, pre).toBe(pre === 'llama-bpe' ? ids.start : undefined);
    expect(tokenizer.stop).toEqual([ids.end, ids.turn]);
  }
  // Qwen composes characters: e and a combining acute become one.
  expect(tokenizerOf('qwen2').encode('e\u0301')).toEqual(tokenizerOf('qwen2').encode('é'));
  expect(tokenizerOf('gpt-2').encode('e\u0301')).not.toEqual(tokenizerOf('gpt-2').encode('é'));
});
