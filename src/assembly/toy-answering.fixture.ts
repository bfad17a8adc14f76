/** For tests of what asks served models: an `Answering` in memory whose tokens a function says, as slowly as is wanted. */

import type { AccountId, JobId, PeerId } from '../core/ids.ts';
import {
  AskRefusedError,
  type Answer,
  type Answering,
  type AnswerEvent,
  type AnswerRequest,
  type ServedModel,
} from './answering.ts';

export interface ToyOptions {
  readonly models: readonly ServedModel[];
  /** The token of a sample at this place after the prompt; undefined ends it. */
  readonly next: (request: AnswerRequest, sample: number, place: number) => number | undefined;
  /** Waited for before each place. */
  readonly pace?: (place: number) => Promise<void>;
  /** Throws where a request is refused. */
  readonly admit?: (request: AnswerRequest) => void;
  readonly logprob?: number;
}

export interface ToyAnswering extends Answering {
  readonly requests: readonly AnswerRequest[];
  /** How requests ended, in order of their ends. */
  readonly ends: readonly ('done' | 'left' | 'refused')[];
  /** Samples that were ended by those who asked. */
  readonly stopped: readonly number[];
}

export const toyJob = 'ab'.repeat(32) as JobId;

export function createToyAnswering(options: ToyOptions): ToyAnswering {
  const requests: AnswerRequest[] = [];
  const ends: ('done' | 'left' | 'refused')[] = [];
  const stopped: number[] = [];

  const ask = (job: JobId, request: AnswerRequest, signal?: AbortSignal): Answer => {
    requests.push(request);
    const over = new Set<number>();
    const all = Array.from({ length: request.samples }, (_, index) => request.firstSample + index);
    const draw = async function* (): AsyncGenerator<AnswerEvent> {
      const isKnown = options.models.some((model) => model.job === job);
      if (!isKnown) throw new AskRefusedError('unknown-model', 'there is no such model');
      options.admit?.(request);
      const left = aborted(signal);
      for (let place = 0; over.size < all.length; place++) {
        if (options.pace !== undefined) await Promise.race([options.pace(place), left]);
        for (const sample of all.filter((one) => !over.has(one))) {
          signal?.throwIfAborted();
          const token = place < request.maxTokens ? options.next(request, sample, place) : undefined;
          if (token === undefined || request.stopTokens.includes(token)) {
            over.add(sample);
            yield { type: 'finished', sample, reason: place < request.maxTokens ? 'stop' : 'length' };
          } else {
            const top = Array.from({ length: request.topLogprobs }, (_, rank): [number, number] => [
              token + rank,
              (options.logprob ?? -1) - rank,
            ]);
            yield { type: 'token', token: { sample, token, logprob: options.logprob ?? -1, top } };
          }
        }
      }
      yield { type: 'done', by: [by] };
    };
    const events = async function* (): AsyncGenerator<AnswerEvent> {
      let end: 'done' | 'left' | 'refused' = 'left';
      try {
        yield* draw();
        end = 'done';
      } catch (error) {
        if (error instanceof AskRefusedError) end = 'refused';
        throw error;
      } finally {
        ends.push(end);
      }
    };
    return {
      [Symbol.asyncIterator]: events,
      stop: (samples) => {
        for (const sample of samples) over.add(sample);
        stopped.push(...samples);
      },
    };
  };
  return { models: async () => options.models, ask, requests, ends, stopped };
}

const by = {
  pipeline: 0,
  stage: 0,
  firstLayer: 0,
  layers: 3,
  account: 'cd'.repeat(32) as AccountId,
  peer: 'ef'.repeat(16) as PeerId,
  deviceClass: 'toy',
};

function aborted(signal: AbortSignal | undefined): Promise<never> {
  const left = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  left.catch(() => {});
  return left;
}

/** A model of bytes under this name. */
export const toyModel = (name: string, context = 256): ServedModel => ({
  job: toyJob,
  name,
  isUp: true,
  plan: {
    name,
    model: {
      architecture: 'llama',
      vocabulary: 256,
      context,
      width: 8,
      hidden: 16,
      layers: 3,
      heads: 2,
      keyValueHeads: 1,
      ropeTheta: 10000,
      normEpsilon: 1e-5,
    },
    weights: { bytes: 0, chunks: [] },
    format: 'llama2c',
    tokenizer: { bytes: 0, chunks: [] },
    stages: 1,
    spares: 0,
    pipelines: 1,
    context,
    sequences: 4,
    activations: 'f32',
  },
});
