/**
 * The tokenizer of a model on the command line: the one that is named (`tokenizer.json` or llama2.c's), else the one that
 * the model brings, beside its weights or inside its GGUF file, else bytes where its vocabulary is as large as theirs.
 */

import { expectInput, InputError } from '../core/result.ts';
import { byteTokenizer } from '../models/tokenizer.ts';
import { ggufFiles, llama2cFiles, openTokenizerFiles, type TokenizerFiles } from '../models/tokenizer-bundle.ts';
import type { ModelText } from '../models/tokenizers/form.ts';
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

export interface FoundTokenizer extends ModelText {
  /** What it was made of, as it travels with a served model. */
  readonly files: TokenizerFiles;
}

export async function readTokenizer(places: TokenizerPlaces): Promise<FoundTokenizer> {
  const { files, where } = await findFiles(places);
  return { files, ...expectInput(openTokenizerFiles(files, { where, rows: places.vocabulary })) };
}

interface FoundFiles {
  readonly files: TokenizerFiles;
  /** Begins error lines. */
  readonly where: string;
}

async function findFiles({ path, given, folder, place, file, vocabulary }: TokenizerPlaces): Promise<FoundFiles> {
  if (given?.endsWith('.json') === true) {
    const tokenizer = (await readInput(given)).toString('utf8');
    return { files: { kind: 'hugging-face', tokenizer }, where: given };
  }
  if (given !== undefined) return { files: llama2cFiles(await readInput(given)), where: given };
  if ('tokenizer.ggml.model' in file.metadata) return { files: ggufFiles(file.metadata), where: path };
  const repository = folder === undefined ? undefined : await readRepository(folder, place);
  if (repository !== undefined) return repository;
  if (vocabulary === byteTokenizer.vocabulary) return { files: { kind: 'bytes' }, where: path };
  throw new InputError(
    `--model ${path}: a vocabulary of ${vocabulary} needs a tokenizer, and the model brings none; give --tokenizer FILE`,
  );
}

async function readRepository(folder: string, place: ModelPlace): Promise<FoundFiles | undefined> {
  const read = (name: string): Promise<string | undefined> => place.text(place.join(folder, name));
  const tokenizer = await read('tokenizer.json');
  if (tokenizer === undefined) return undefined;
  const others = {
    config: await read('tokenizer_config.json'),
    generation: await read('generation_config.json'),
    template: await read('chat_template.jinja'),
  };
  const found = Object.fromEntries(Object.entries(others).filter(([, text]) => text !== undefined));
  return { files: { kind: 'hugging-face', tokenizer, ...found }, where: folder };
}
