/** A generation job from prompt to texts: prepares it, gathers the samples of all units, decodes them. */

import type { Swarm } from '../assembly/swarm.ts';
import { InputError } from '../core/result.ts';
import type { GenerateOptionsInput } from '../protocol/job-file.ts';
import type { JobState } from '../protocol/messages.ts';
import { drawSamples } from './draw-samples.ts';
import type { ModelSource } from './model-source.ts';

export interface GenerateRunOptions {
  readonly swarm: Swarm;
  readonly source: ModelSource;
  readonly modelName: string;
  readonly prompt: string;
  readonly options: GenerateOptionsInput;
  /** Texts that end a sample; each must be one token. */
  readonly stop: readonly string[];
  readonly onChange?: (state: JobState) => void;
  readonly signal?: AbortSignal;
}

/** What `--json` prints; see the job format. */
export interface GenerateSummary {
  readonly model: string;
  readonly prompt: string;
  readonly promptTokens: readonly number[];
  readonly samples: readonly {
    readonly tokens: readonly number[];
    readonly text: string;
    readonly logprob: number;
    readonly finish: string;
  }[];
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Digests of the signed receipts, unit after unit. */
  readonly receipts: readonly string[];
}

export async function runGeneration(options: GenerateRunOptions): Promise<GenerateSummary> {
  const { source, prompt } = options;
  const { tokenizer } = source;
  const started = performance.now();
  const { promptTokens, stopTokens } = encodePrompt(options);
  const { samples, receipts } = await drawSamples({ ...options, promptTokens, stopTokens });
  const seconds = (performance.now() - started) / 1000;
  const tokens = samples.reduce((sum, sample) => sum + sample.tokens.length, 0);
  return {
    model: options.modelName,
    prompt,
    promptTokens,
    samples: samples.map(({ tokens: ids, logprob, finish }) => ({
      tokens: ids,
      text: tokenizer.decode(ids, { previous: promptTokens.at(-1) }),
      logprob,
      finish,
    })),
    seconds,
    tokensPerSecond: tokens / seconds,
    receipts,
  };
}

export interface EncodedPrompt {
  /** Start token included. */
  readonly promptTokens: readonly number[];
  /** The model's own and those that were asked for. */
  readonly stopTokens: readonly number[];
}

/** What a prompt and its `--stop` texts are to the model; throws `InputError` where they do not suit it. */
export function encodePrompt({
  source: { tokenizer, model },
  prompt,
  stop,
}: Pick<GenerateRunOptions, 'source' | 'prompt' | 'stop'>): EncodedPrompt {
  const promptTokens = tokenizer.encode(prompt);
  if (promptTokens.length === 0)
    throw new InputError('--prompt: empty, and this model has no start token; give some text');
  if (promptTokens.length >= model.context) {
    throw new InputError(
      `--prompt: ${promptTokens.length} tokens, the model's context holds ${model.context}; shorten it`,
    );
  }
  const asked = stop.map((text) => {
    const ids = tokenizer.encode(text, { addSpecial: false });
    const [only] = ids;
    if (only !== undefined && ids.length === 1) return only;
    throw new InputError(
      `--stop ${JSON.stringify(text)}: is ${ids.length} tokens of this model, give text that is one`,
    );
  });
  return { promptTokens, stopTokens: [...tokenizer.stop, ...asked] };
}
