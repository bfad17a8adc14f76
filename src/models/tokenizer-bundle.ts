/**
 * All that is needed to speak with a model, in one piece of bytes that travels with it: the tokenizer as its files have it
 * (`tokenizer.json`, GGUF's own metadata, llama2.c's), with the chat template, special and stop tokens that they name. Whoever
 * asks a served model fetches it as an artifact; it comes from strangers, so that sizes are bounded and every field is read.
 */

import { fromBase64, fromUtf8, toBase64, utf8, type Bytes } from '../core/bytes.ts';
import { ok, oneLine, problem, type Result } from '../core/result.ts';
import { base64Text, parseJson, v, whole } from '../core/schema.ts';
import { decodeLlama2cTokenizer } from './llama2c-tokenizer.ts';
import { byteTokenizer } from './tokenizer.ts';
import { idMax, type ModelText } from './tokenizers/form.ts';
import { openGgufVocabulary, vocabularyKeys } from './tokenizers/gguf-vocabulary.ts';
import { openHuggingFace } from './tokenizers/hugging-face.ts';

/** Bytes of a bundle: twice the largest `tokenizer.json` in use (Gemma's has 33 MB). */
export const bundleBytesMax = 64 * 1024 * 1024;

const bundleSchema = v.strictObject({
  version: v.literal(1),
  /** Rows of the model's embedding. */
  vocabulary: whole(1, idMax),
  source: v.variant('kind', [
    /** The texts of a repository's files; see `HuggingFaceFiles`. */
    v.strictObject({
      kind: v.literal('hugging-face'),
      tokenizer: v.string(),
      config: v.exactOptional(v.string()),
      generation: v.exactOptional(v.string()),
      template: v.exactOptional(v.string()),
    }),
    /** What a GGUF file's metadata says about text; every value is checked where it is read. */
    v.strictObject({ kind: v.literal('gguf'), metadata: v.record(v.string(), v.unknown()) }),
    v.strictObject({ kind: v.literal('llama2c'), file: base64Text }),
    /** The 256 bytes of UTF-8. */
    v.strictObject({ kind: v.literal('bytes') }),
  ]),
});
export type TokenizerBundle = v.InferOutput<typeof bundleSchema>;
export type TokenizerFiles = TokenizerBundle['source'];

/** llama2.c's `tokenizer.bin` as a bundle holds it. */
export const llama2cFiles = (file: Uint8Array): TokenizerFiles => ({ kind: 'llama2c', file: toBase64(file) });

/** The part of a GGUF file's metadata that says how text becomes ids. */
export const ggufFiles = (metadata: Readonly<Record<string, unknown>>): TokenizerFiles => ({
  kind: 'gguf',
  metadata: Object.fromEntries(
    vocabularyKeys.flatMap((key) => (metadata[key] === undefined ? [] : [[key, metadata[key]]])),
  ),
});

/** A bundle's bytes, or why they would be too many. */
export function encodeTokenizerBundle(bundle: TokenizerBundle): Result<Bytes> {
  const bytes = utf8(JSON.stringify(bundle));
  return bytes.byteLength <= bundleBytesMax
    ? ok(bytes)
    : problem('tokenizer', `tokenizer: ${bytes.byteLength} bytes, at most ${bundleBytesMax} travel with a model`);
}

export interface BundleOptions {
  /** Names the model in refusals. */
  readonly where: string;
  /** Rows of the embedding of the model that the bundle came with. */
  readonly rows: number;
}

/** The tokenizer and chat template in a bundle's bytes; refuses those of another model. */
export function openTokenizerBundle(bytes: Uint8Array, options: BundleOptions): Result<ModelText> {
  const where = `${options.where}: its tokenizer`;
  if (bytes.byteLength > bundleBytesMax)
    return problem('tokenizer', `${where}: ${bytes.byteLength} bytes, at most ${bundleBytesMax} are read`);
  let text: string;
  try {
    text = fromUtf8(bytes);
  } catch {
    return problem('tokenizer', `${where}: not UTF-8`);
  }
  const parsed = parseJson(bundleSchema, text, where);
  if (!parsed.ok) return problem('tokenizer', oneLine(parsed.error.text));
  const { vocabulary, source } = parsed.value;
  if (vocabulary !== options.rows)
    return problem(
      'tokenizer',
      `${where}: made for ${vocabulary} tokens, the model's embedding has ${options.rows} rows`,
    );
  return openTokenizerFiles(source, { where, rows: vocabulary });
}

/** The same out of files that were just read. */
export function openTokenizerFiles(files: TokenizerFiles, { where, rows }: BundleOptions): Result<ModelText> {
  switch (files.kind) {
    case 'hugging-face':
      return openHuggingFace(files, { where, rows });
    case 'gguf':
      return openGgufVocabulary(files.metadata, { where, rows });
    case 'llama2c': {
      const bytes = fromBase64(files.file);
      if (bytes === undefined) return problem('tokenizer', `${where}: its file is not base64`);
      const tokenizer = decodeLlama2cTokenizer(bytes, rows, where);
      return tokenizer.ok ? ok({ tokenizer: tokenizer.value, chat: noTemplate }) : tokenizer;
    }
    case 'bytes':
      if (rows !== byteTokenizer.vocabulary)
        return problem('tokenizer', `${where}: bytes, of which there are 256, for a vocabulary of ${rows}`);
      return ok({ tokenizer: byteTokenizer, chat: noTemplate });
  }
}

const noTemplate = { text: undefined, startText: '', endText: '' };
