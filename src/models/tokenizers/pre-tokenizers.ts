/**
 * How byte-level vocabularies cut text into words before merging, by the names that GGUF files give (llama.cpp,
 * `llama-vocab.cpp`): a GGUF file carries only the name. The patterns are those of the models' own `tokenizer.json`.
 * What a name is not known for is refused: a near miss gives other ids, and worse texts, without any sign of it.
 */

export interface PreTokenizer {
  /** In the form of Hugging Face's `tokenizer.json`. */
  readonly json: object;
  /** Unicode normalisation that the model was trained with; GGUF does not carry it. */
  readonly normalizer?: object;
  /** A word that is in the vocabulary stays whole, whatever the merges say. */
  readonly ignoreMerges?: boolean;
  /** The start token goes before a text unless the file says otherwise. */
  readonly addStart?: boolean;
}

const byteLevel = (useRegex: boolean): object => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: false,
  use_regex: useRegex,
});

const isolated = (pattern: string): object => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});

/** Words are first cut by these patterns, then written in the byte-level alphabet. */
const splitBy = (...patterns: readonly string[]): object => ({
  type: 'Sequence',
  pretokenizers: [...patterns.map(isolated), byteLevel(false)],
});

const modernWords = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** The library's own pattern, GPT-2's. */
const gpt2: PreTokenizer = { json: byteLevel(true) };
const llama3: PreTokenizer = { json: splitBy(modernWords('\\p{N}{1,3}')), ignoreMerges: true, addStart: true };
const threeDigits: PreTokenizer = { json: splitBy(modernWords('\\p{N}{1,3}')) };
const qwen2: PreTokenizer = { json: splitBy(modernWords('\\p{N}')), normalizer: { type: 'NFC' } };
const oneDigit: PreTokenizer = {
  json: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
  },
};

const byName: Readonly<Record<string, PreTokenizer>> = {
  'gpt-2': gpt2,
  'phi-2': gpt2,
  mpt: gpt2,
  olmo: gpt2,
  jais: gpt2,
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
  falcon3: llama3,
  dbrx: threeDigits,
  'smaug-bpe': threeDigits,
  qwen2,
  'deepseek-r1-qwen': qwen2,
  smollm: oneDigit,
  starcoder: oneDigit,
  refact: oneDigit,
  'command-r': oneDigit,
  codeshell: oneDigit,
};

export const preTokenizerNames: readonly string[] = Object.keys(byName);

export const findPreTokenizer = (name: string): PreTokenizer | undefined =>
  Object.hasOwn(byName, name) ? byName[name] : undefined;
