/**
 * The tokenizer of a model on the command line: the one that is named (`tokenizer.json` or llama2.c's), else the one that
 * the model brings, beside its weights or inside its GGUF file, else bytes where its vocabulary is as large as theirs.
 */

import { expectInput, InputError } from '../core/result.ts';
import { decodeLlama2cTokenizer } from '../models/llama2c-tokenizer.ts';
import { byteTokenizer, type Tokenizer } from '../models/tokenizer.ts';
import { openGgufVocabulary } from '../models/tokenizers/gguf-vocabulary.ts';
import { openHuggingFace } from '../models/tokenizers/hugging-face.ts';
import type { TensorFile } from '../models/weights/tensor-file.ts';
import type { ModelPlace } from './model-place.ts';
import { readInput } from './read-input.ts';

export interface TokenizerPlaces {
  /** The model, as its person calls it. */
  readonly path: string;
  /** What `--tokenizer` names. */
  readonly given: string | undefined;
  /** Where a repository's tokenizer would lie, if there can be one. */
  readonly folder: string | undefined;
  readonly place: ModelPlace;
  readonly file: TensorFile;
  readonly vocabulary: number;
}

export async function readTokenizer(places: TokenizerPlaces): Promise<Tokenizer> {
  const { path, given, folder, place, file, vocabulary } = places;
  if (given?.endsWith('.json') === true) {
    const tokenizer = (await readInput(given)).toString('utf8');
    return expectInput(openHuggingFace({ tokenizer }, { where: given, rows: vocabulary })).tokenizer;
  }
  if (given !== undefined) return expectInput(decodeLlama2cTokenizer(await readInput(given), vocabulary, given));
  if ('tokenizer.ggml.model' in file.metadata) {
    return expectInput(openGgufVocabulary(file.metadata, { where: path, rows: vocabulary })).tokenizer;
  }
  const repository = folder === undefined ? undefined : await readRepository(folder, place, vocabulary);
  if (repository !== undefined) return repository;
  if (vocabulary === byteTokenizer.vocabulary) return byteTokenizer;
  throw new InputError(
    `--model ${path}: a vocabulary of ${vocabulary} needs a tokenizer, and the model brings none; give --tokenizer FILE`,
  );
}

async function readRepository(folder: string, place: ModelPlace, vocabulary: number): Promise<Tokenizer | undefined> {
  const read = (name: string): Promise<string | undefined> => place.text(place.join(folder, name));
  const tokenizer = await read('tokenizer.json');
  if (tokenizer === undefined) return undefined;
  const [config, generation] = [await read('tokenizer_config.json'), await read('generation_config.json')];
  return expectInput(openHuggingFace({ tokenizer, config, generation }, { where: folder, rows: vocabulary })).tokenizer;
}
