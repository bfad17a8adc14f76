/**
 * The vocabulary in a GGUF file's own metadata (`tokenizer.ggml.*`, ggml-org/ggml `docs/gguf.md`), written in the form of
 * `tokenizer.json` so that the library does the work: `gpt2` is byte-level BPE with merges and a named pre-tokenizer,
 * `llama` is SentencePiece's BPE, whose scores say in which order pieces merge. Reading the file is left to `weights`.
 */

import { ok, problem, type Result } from '../../core/result.ts';
import { parse, v, whole } from '../../core/schema.ts';
import { byteLevelForm, idMax, type AddedToken, type ModelText } from './form.ts';
import { openForm } from './library-tokenizer.ts';
import { spaceMark } from './pieces.ts';
import { findPreTokenizer, preTokenizerNames } from './pre-tokenizers.ts';
import { stopTokensOf } from './special-tokens.ts';

const id = v.optional(whole(0, idMax));
const flag = v.optional(v.boolean());
const metadataSchema = v.looseObject({
  'tokenizer.ggml.model': v.string(),
  'tokenizer.ggml.pre': v.optional(v.string()),
  'tokenizer.ggml.tokens': v.array(v.string()),
  'tokenizer.ggml.scores': v.optional(v.array(v.number())),
  'tokenizer.ggml.token_type': v.optional(v.array(v.number())),
  'tokenizer.ggml.merges': v.optional(v.array(v.string())),
  'tokenizer.ggml.bos_token_id': id,
  'tokenizer.ggml.eos_token_id': id,
  'tokenizer.ggml.eot_token_id': id,
  'tokenizer.ggml.eom_token_id': id,
  'tokenizer.ggml.unknown_token_id': id,
  'tokenizer.ggml.add_bos_token': flag,
  'tokenizer.ggml.add_space_prefix': flag,
  'tokenizer.chat_template': v.optional(v.string()),
});
type Metadata = v.InferOutput<typeof metadataSchema>;

/** All that is read of a file's metadata here. */
export const vocabularyKeys: readonly string[] = Object.keys(metadataSchema.entries);

/** `tokenizer.ggml.token_type`: unknown and control tokens are special, a user's are whole words of text. */
const tokenTypes = { unknown: 2, control: 3, userDefined: 4 } as const;

/** A tokenizer and chat template out of GGUF metadata; `rows` is the height of the model's embedding, where known. */
export function openGgufVocabulary(
  metadata: Readonly<Record<string, unknown>>,
  { where, rows }: { readonly where: string; readonly rows?: number },
): Result<ModelText> {
  const parsed = parse(metadataSchema, metadata, where);
  if (!parsed.ok) return parsed;
  const read = parsed.value;
  const form = buildForm(read, where);
  if (!form.ok) return form;
  const { json, addStart } = form.value;
  const tokens = read['tokenizer.ggml.tokens'];
  const start = read['tokenizer.ggml.bos_token_id'];
  const end = read['tokenizer.ggml.eos_token_id'];
  const named = [end, read['tokenizer.ggml.eot_token_id'], read['tokenizer.ggml.eom_token_id']];
  const opened = openForm(json, {
    where,
    rows,
    start,
    addStart: start === undefined ? undefined : (read['tokenizer.ggml.add_bos_token'] ?? addStart),
    stop: stopTokensOf(named, addedTokens(read)),
    texts: tokens,
  });
  if (!opened.ok) return opened;
  const textOf = (token: number | undefined): string => (token === undefined ? '' : (tokens[token] ?? ''));
  const chat = { text: read['tokenizer.chat_template'], startText: textOf(start), endText: textOf(end) };
  return ok({ tokenizer: opened.value, chat });
}

interface BuiltForm {
  readonly json: object;
  /** What the start token does where the file does not say. */
  readonly addStart: boolean;
}

function buildForm(read: Metadata, where: string): Result<BuiltForm> {
  const model = read['tokenizer.ggml.model'];
  if (model === 'gpt2') return buildByteLevel(read, where);
  if (model === 'llama') return buildSentencePiece(read, where);
  return problem(
    'tokenizer',
    `${where}: tokenizer.ggml.model ${JSON.stringify(model)} is not supported; gpt2 and llama are`,
  );
}

function buildByteLevel(read: Metadata, where: string): Result<BuiltForm> {
  const name = read['tokenizer.ggml.pre'];
  const pre = name === undefined ? undefined : findPreTokenizer(name);
  if (pre === undefined) {
    return problem(
      'tokenizer',
      `${where}: tokenizer.ggml.pre ${JSON.stringify(name ?? null)} is not known; known are ${preTokenizerNames.join(', ')}`,
    );
  }
  const merges = read['tokenizer.ggml.merges'];
  if (merges === undefined) return problem('tokenizer', `${where}: tokenizer.ggml.merges is missing`);
  const json = byteLevelForm({
    vocabulary: vocabularyOf(read['tokenizer.ggml.tokens']),
    merges,
    added: addedTokens(read),
    preTokenizer: pre.json,
    normalizer: pre.normalizer,
    ignoreMerges: pre.ignoreMerges,
  });
  return ok({ json, addStart: pre.addStart === true });
}

function buildSentencePiece(read: Metadata, where: string): Result<BuiltForm> {
  const tokens = read['tokenizer.ggml.tokens'];
  const scores = read['tokenizer.ggml.scores'];
  if (scores?.length !== tokens.length)
    return problem('tokenizer', `${where}: ${scores?.length ?? 0} scores for ${tokens.length} tokens`);
  const spaceFirst = read['tokenizer.ggml.add_space_prefix'] !== false;
  const replace = { type: 'Replace', pattern: { String: ' ' }, content: spaceMark };
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  const unknown = read['tokenizer.ggml.unknown_token_id'] ?? 0;
  const vocabulary = vocabularyOf(tokens);
  const json = {
    added_tokens: addedTokens(read),
    normalizer: spaceFirst
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: spaceMark }, replace] }
      : replace,
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: spaceMark }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(spaceFirst ? [strip] : []),
      ],
    },
    model: {
      type: 'BPE',
      vocab: vocabulary,
      merges: mergesOfScores(vocabulary, scores),
      unk_token: tokens[unknown] ?? null,
      fuse_unk: true,
      byte_fallback: true,
    },
  };
  return ok({ json, addStart: true });
}

/**
 * The merges behind a list of scored pieces: every way to cut a piece into two pieces, best score first, as Hugging
 * Face's converter makes them (huggingface/transformers `convert_slow_tokenizer.py`).
 */
function mergesOfScores(vocabulary: Readonly<Record<string, number>>, scores: readonly number[]): [string, string][] {
  const ids = new Map(Object.entries(vocabulary));
  const merges: { readonly halves: [string, string]; readonly score: number; readonly lengths: [number, number] }[] =
    [];
  for (const [piece, token] of ids) {
    const characters = [...piece];
    for (let cut = characters.length - 1; cut > 0; cut--) {
      const left = characters.slice(0, cut).join('');
      const right = piece.slice(left.length);
      if (!ids.has(left) || !ids.has(right)) continue;
      merges.push({ halves: [left, right], score: scores[token] ?? 0, lengths: [cut, characters.length - cut] });
    }
  }
  merges.sort((a, b) => b.score - a.score || b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1]);
  return merges.map(({ halves }) => halves);
}

/** Ids by text; of several tokens with one text the first is the one that text becomes. */
function vocabularyOf(tokens: readonly string[]): Record<string, number> {
  // Later entries of equal text win in a list, so it is read from its end.
  return Object.fromEntries(tokens.map((text, token) => [text, token] as const).toReversed());
}

function addedTokens(read: Metadata): AddedToken[] {
  const types = read['tokenizer.ggml.token_type'] ?? [];
  return read['tokenizer.ggml.tokens'].flatMap((content, token) => {
    const type = types[token];
    const special = type === tokenTypes.control || type === tokenTypes.unknown;
    return (special || type === tokenTypes.userDefined) && content !== ''
      ? [{ id: token, content, special, normalized: false }]
      : [];
  });
}
