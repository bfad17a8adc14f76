/**
 * Tokenizers in the form of Hugging Face's `tokenizer.json`, run by `@huggingface/tokenizers`: this file checks the form,
 * hands it to the library for the way from text to ids, and makes the table of bytes for the way back, which the library
 * has for whole texts only. Where the form comes from (a repository's files, GGUF) is left to the files beside it.
 */

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { InputError, ok, problem, type Result } from '../../core/result.ts';
import { parse } from '../../core/schema.ts';
import { createDecoding, requireWholeText, type EncodeOptions, type Tokenizer } from '../tokenizer.ts';
import { formSchema, type TokenizerForm } from './form.ts';
import { readPieces } from './pieces.ts';

/** Rows of an embedding that no token names: models pad to a round number, by no more than this share of their rows. */
const paddingShareMax = 1 / 16;

export interface FormOptions {
  /** Names the source in refusals. */
  readonly where: string;
  /** Rows of the model's embedding, where known: the vocabulary must fit them. */
  readonly rows?: number | undefined;
  /** The start token's id where the model has one. */
  readonly start?: number | undefined;
  /** Whether the start token goes before a text, and nothing else; where this does not say, the form's post-processor adds. */
  readonly addStart?: boolean | undefined;
  readonly stop: readonly number[];
  /** The text of each id, where several ids have one text and the form names only one of them. */
  readonly texts?: readonly string[];
}

/** A tokenizer out of a form as JSON gives it; or what is wrong with it. */
export function openForm(json: unknown, options: FormOptions): Result<Tokenizer> {
  const { where, rows, start, stop } = options;
  const refuse = (text: string) => problem('tokenizer', `${where}: ${text}`);
  const parsed = parse(formSchema, json, where);
  if (!parsed.ok) return parsed;
  const form = withMissing(parsed.value);
  const pieces = readPieces(form, where, options.texts);
  if (!pieces.ok) return pieces;
  const { count, table } = pieces.value;
  const vocabulary = rows ?? count;
  if (count > vocabulary || vocabulary - count > Math.ceil(vocabulary * paddingShareMax))
    return refuse(`${count} tokens, the model's embedding has ${vocabulary} rows; is this another model's tokenizer?`);
  for (const token of start === undefined ? stop : [start, ...stop])
    if (token >= count) return refuse(`special token ${token} is outside the vocabulary of ${count}`);

  let library: LibraryTokenizer;
  let plain: LibraryTokenizer;
  try {
    library = new LibraryTokenizer(form, {});
    plain = withoutSpecial(form, library);
    // Patterns are compiled and merges looked up on the first text.
    library.encode('a 1.');
  } catch (error) {
    return refuse(`not a tokenizer that can be read: ${firstLine(error)}`);
  }
  const addsStart = options.addStart ?? (start !== undefined && library.encode('').ids[0] === start);
  const front = options.addStart === true && start !== undefined ? [start] : [];

  function encode(text: string, { addSpecial = true, parseSpecial = true }: EncodeOptions = {}): number[] {
    requireWholeText(text);
    const byForm = addSpecial && options.addStart === undefined;
    const { ids } = (parseSpecial ? library : plain).encode(text, { add_special_tokens: byForm });
    if (ids.some((token) => token === undefined))
      throw new InputError("text: holds a character that the model's vocabulary has nothing for");
    return addSpecial ? [...front, ...ids] : ids;
  }

  return ok({
    vocabulary,
    start: addsStart ? start : undefined,
    stop,
    encode,
    ...createDecoding({ ...table(addsStart ? start : undefined), vocabulary }),
  });
}

/** Names a token for what is unknown where a form names none, as the library would drop it without a word. */
const withMissing = (form: TokenizerForm): TokenizerForm => ({
  ...form,
  model: { ...form.model, unk_token: form.model['unk_token'] ?? '\0missing' },
});

/** The same library object, to which special tokens' texts are plain text; it shares the model, which is most of it. */
function withoutSpecial(form: TokenizerForm, library: LibraryTokenizer): LibraryTokenizer {
  const plain = new LibraryTokenizer(
    {
      ...form,
      added_tokens: form.added_tokens.filter(({ special }) => special !== true),
      model: { type: 'BPE', vocab: {}, merges: [] },
    },
    {},
  );
  plain.model = library.model;
  return plain;
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
