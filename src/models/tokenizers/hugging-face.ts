/**
 * Tokenizers out of a Hugging Face repository's files: `tokenizer.json` with `tokenizer_config.json` and
 * `generation_config.json` beside it, or GPT-2's older pair `vocab.json` and `merges.txt`. Takes the texts of those files;
 * fetching or reading them is left to whoever has a place where they are.
 */

import { ok, problem, type Result } from '../../core/result.ts';
import { parseJson, v, whole } from '../../core/schema.ts';
import { byteLevelForm, formSchema, idMax, type AddedToken, type ModelText, type TokenizerForm } from './form.ts';
import { openForm } from './library-tokenizer.ts';
import { findPreTokenizer } from './pre-tokenizers.ts';
import { stopTokensOf } from './special-tokens.ts';

export interface HuggingFaceFiles {
  /** Text of `tokenizer.json`. */
  readonly tokenizer: string;
  /** Text of `tokenizer_config.json`, where there is one: start and end tokens and the chat template. */
  readonly config?: string | undefined;
  /** Text of `generation_config.json`, where there is one: more ids that end a text. */
  readonly generation?: string | undefined;
  /** Text of `chat_template.jinja`, where there is one; it goes before the template in `config`. */
  readonly template?: string | undefined;
}

export interface OpenOptions {
  /** Names the source in refusals: a folder, a repository. */
  readonly where: string;
  /** Rows of the model's embedding, where known. */
  readonly rows?: number;
}

/** A special token as a configuration names it: by its text, or by an object with its text. */
const named = v.optional(v.nullable(v.union([v.string(), v.looseObject({ content: v.string() })])));
const configSchema = v.looseObject({
  bos_token: named,
  eos_token: named,
  add_bos_token: v.optional(v.nullable(v.boolean())),
  chat_template: v.optional(
    v.nullable(v.union([v.string(), v.array(v.looseObject({ name: v.string(), template: v.string() }))])),
  ),
});
const id = whole(0, idMax);
const generationSchema = v.looseObject({ eos_token_id: v.optional(v.nullable(v.union([id, v.array(id)]))) });

/** A tokenizer and chat template out of a repository's files; or what is wrong with them. */
export function openHuggingFace(files: HuggingFaceFiles, { where, rows }: OpenOptions): Result<ModelText> {
  const form = parseJson(formSchema, files.tokenizer, `${where} tokenizer.json`);
  if (!form.ok) return form;
  const config = parseJson(configSchema, files.config ?? '{}', `${where} tokenizer_config.json`);
  if (!config.ok) return config;
  const generation = parseJson(generationSchema, files.generation ?? '{}', `${where} generation_config.json`);
  if (!generation.ok) return generation;
  const { bos_token: startName, eos_token: endName, add_bos_token: addStart } = config.value;
  const startText = textOf(startName);
  const endText = textOf(endName);
  const idOf = (text: string): number | undefined => findToken(form.value, text);
  const start = idOf(startText);
  const ends = [generation.value.eos_token_id ?? []].flat();
  const opened = openForm(form.value, {
    where: `${where} tokenizer.json`,
    rows,
    start,
    addStart: start === undefined ? undefined : (addStart ?? undefined),
    stop: stopTokensOf([idOf(endText), ...ends], form.value.added_tokens),
  });
  if (!opened.ok) return opened;
  return ok({
    tokenizer: opened.value,
    chat: { text: files.template ?? chooseTemplate(config.value.chat_template), startText, endText },
  });
}

/** The same for GPT-2's older pair of files. */
export function openVocabularyAndMerges(
  files: { readonly vocabulary: string; readonly merges: string },
  { where, rows }: OpenOptions,
): Result<ModelText> {
  const vocabulary = parseJson(v.record(v.string(), id), files.vocabulary, `${where} vocab.json`);
  if (!vocabulary.ok) return vocabulary;
  const merges = files.merges.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version'));
  const wrong = merges.findIndex((line) => line.split(' ').length !== 2);
  if (wrong >= 0) return problem('tokenizer', `${where} merges.txt: merge ${wrong} is not two pieces with a space`);
  const endText = '<|endoftext|>';
  const end = Object.hasOwn(vocabulary.value, endText) ? vocabulary.value[endText] : undefined;
  const added: AddedToken[] =
    end === undefined ? [] : [{ id: end, content: endText, special: true, normalized: false }];
  const preTokenizer = findPreTokenizer('gpt-2')?.json ?? {};
  const form = byteLevelForm({ vocabulary: vocabulary.value, merges, added, preTokenizer });
  const opened = openForm(form, { where, rows, stop: stopTokensOf([end], added) });
  if (!opened.ok) return opened;
  return ok({ tokenizer: opened.value, chat: { text: undefined, startText: '', endText } });
}

const textOf = (token: v.InferOutput<typeof named>): string =>
  typeof token === 'string' ? token : (token?.content ?? '');

function findToken({ added_tokens: added, model }: TokenizerForm, text: string): number | undefined {
  if (text === '') return undefined;
  const found = added.find(({ content }) => content === text)?.id;
  const vocabulary: unknown = model['vocab'];
  if (found !== undefined || typeof vocabulary !== 'object' || vocabulary === null) return found;
  if (Array.isArray(vocabulary)) {
    const index = vocabulary.findIndex((entry) => Array.isArray(entry) && entry[0] === text);
    return index < 0 ? undefined : index;
  }
  const token: unknown = Object.hasOwn(vocabulary, text) ? Reflect.get(vocabulary, text) : undefined;
  return typeof token === 'number' ? token : undefined;
}

/** Of several templates the one that is for plain chats. */
function chooseTemplate(templates: v.InferOutput<typeof configSchema>['chat_template']): string | undefined {
  if (typeof templates === 'string') return templates;
  return templates?.find(({ name }) => name === 'default')?.template ?? templates?.[0]?.template;
}
