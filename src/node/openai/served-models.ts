/** The models that the hub serves now, by name, each with its tokenizer, which is fetched and opened once. */

import type { Answering, ServedModel } from '../../assembly/answering.ts';
import { readModelText } from '../../assembly/text-answer.ts';
import type { Bytes } from '../../core/bytes.ts';
import type { JobId } from '../../core/ids.ts';
import type { ModelText } from '../../models/tokenizers/form.ts';
import type { Artifact } from '../../protocol/artifact.ts';
import { ApiError } from './api-error.ts';

export interface OpenedModel {
  readonly served: ServedModel;
  readonly text: ModelText;
}

export interface ServedModels {
  /** One for each name. */
  list(): Promise<readonly ServedModel[]>;
  /** Throws an `ApiError` where none has this name. */
  find(name: string): Promise<ServedModel>;
  open(name: string): Promise<OpenedModel>;
  /** Seconds since 1970 when this model was first seen. */
  since(job: JobId): number;
}

/** A vocabulary of 150,000 tokens takes some hundred megabytes. */
const openedMax = 8;

export function createServedModels(
  answering: Answering,
  read: (artifact: Artifact) => Promise<Bytes>,
  unixSeconds: () => number,
): ServedModels {
  const opened = new Map<JobId, Promise<ModelText>>();
  const seen = new Map<JobId, number>();

  const list = async (): Promise<readonly ServedModel[]> => {
    const byName = new Map<string, ServedModel>();
    for (const model of await answering.models()) {
      if (!seen.has(model.job)) seen.set(model.job, unixSeconds());
      // Of several with one name the newest that can answer.
      if (model.isUp || byName.get(model.name)?.isUp !== true) byName.set(model.name, model);
    }
    return [...byName.values()];
  };

  const find = async (name: string): Promise<ServedModel> => {
    const models = await list();
    const found = models.find((model) => model.name === name);
    if (found !== undefined) return found;
    const others = models.map((model) => model.name).join(', ');
    throw new ApiError(
      `The model '${name.slice(0, 100)}' is not served here; ${others === '' ? 'none is' : `these are: ${others.slice(0, 500)}`}`,
      { status: 404, type: 'invalid_request_error', param: 'model', code: 'model_not_found' },
    );
  };

  const textOf = (model: ServedModel): Promise<ModelText> => {
    const known = opened.get(model.job);
    if (known !== undefined) return known;
    const text = readModelText(model, read);
    opened.set(model.job, text);
    text.catch(() => opened.delete(model.job));
    for (const job of opened.keys()) {
      if (opened.size <= openedMax) break;
      opened.delete(job);
    }
    return text;
  };

  return {
    list,
    find,
    open: async (name) => {
      const served = await find(name);
      return { served, text: await textOf(served) };
    },
    since: (job) => seen.get(job) ?? unixSeconds(),
  };
}
