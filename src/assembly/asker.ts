/**
 * Asking served models over a submitter's session: `Answering` for whoever has one. Requests are not kept anywhere: when the
 * link breaks, those under way fail and are to be asked again, by who wants them still.
 */

import type { Bytes } from '../core/bytes.ts';
import { manifestOfJob, type Digest, type JobId } from '../core/ids.ts';
import { decodeManifest } from '../protocol/manifest.ts';
import type { Message, MessageOf } from '../protocol/messages.ts';
import {
  AskRefusedError,
  type Answer,
  type Answering,
  type AnswerEvent,
  type AnswerRequest,
  type ServedModel,
} from './answering.ts';

export interface AskerParts {
  /** Rejects where no link stands. */
  readonly send: (message: Message) => Promise<void>;
  readonly list: () => Promise<MessageOf<'jobs'>['jobs']>;
  readonly chunk: (digest: Digest) => Promise<Bytes>;
}

export interface Asker extends Answering {
  /** True where the message was an answer's. */
  receive(message: Message): boolean;
  /** The link is gone. */
  unlinked(): void;
}

/** One request under way. */
interface Pending {
  readonly events: AnswerEvent[];
  error: Error | undefined;
  isOver: boolean;
  wake: () => void;
}

export function createAsker({ send, list, chunk }: AskerParts): Asker {
  const pending = new Map<string, Pending>();
  let nextId = 1;
  const plans = new Map<JobId, Promise<ServedModel['plan'] | undefined>>();

  const end = (id: string, error?: Error): void => {
    const one = pending.get(id);
    if (one === undefined) return;
    pending.delete(id);
    one.isOver = true;
    one.error = error;
    one.wake();
  };

  const planOf = (job: JobId): Promise<ServedModel['plan'] | undefined> => {
    const known = plans.get(job);
    if (known !== undefined) return known;
    const read = readPlan(job);
    plans.set(job, read);
    read.catch(() => plans.delete(job));
    return read;
  };
  const readPlan = async (job: JobId): Promise<ServedModel['plan'] | undefined> => {
    const manifest = decodeManifest(await chunk(manifestOfJob(job)));
    return manifest.ok && manifest.value.program === 'serve' ? manifest.value.serve : undefined;
  };

  const models = async (): Promise<readonly ServedModel[]> => {
    const serving = (await list()).filter(
      ({ program, state }) => program === 'serve' && (state === 'running' || state === 'waiting'),
    );
    const found = await Promise.all(
      serving.map(async ({ job, serving: now }): Promise<ServedModel | undefined> => {
        const plan = await planOf(job);
        return plan === undefined ? undefined : { job, name: plan.name, plan, isUp: (now?.up ?? 0) > 0 };
      }),
    );
    return found.filter((model) => model !== undefined);
  };

  const ask = (job: JobId, request: AnswerRequest, signal?: AbortSignal): Answer => {
    // The hub knows a request by its link and this.
    const id = (nextId++).toString(16).padStart(32, '0');
    const stopped = new Set<number>();
    let isBegun = false;
    const stop = (samples?: readonly number[]): void => {
      for (const sample of samples ?? []) stopped.add(sample);
      if (!pending.has(id)) return;
      send({ type: 'ask-stop', id, ...(samples === undefined ? {} : { samples: [...samples] }) }).catch(() => {});
    };
    const begin = async (): Promise<void> => {
      const { promptTokens, stopTokens, ...rest } = request;
      try {
        await send({ type: 'ask', id, job, promptTokens: [...promptTokens], stopTokens: [...stopTokens], ...rest });
      } catch (error) {
        end(id, new AskRefusedError('failed', `the hub cannot be reached: ${textOf(error)}`));
      }
    };
    const events = async function* (): AsyncGenerator<AnswerEvent> {
      signal?.throwIfAborted();
      if (isBegun) throw new TypeError('an answer is read once; ask again for another');
      isBegun = true;
      const own: Pending = { events: [], error: undefined, isOver: false, wake: () => {} };
      pending.set(id, own);
      const abort = (): void => own.wake();
      signal?.addEventListener('abort', abort);
      void begin();
      if (stopped.size > 0) stop([...stopped]);
      try {
        for (;;) {
          // One by one: more may come, and samples be stopped, while whoever reads is busy with an event.
          for (let event = own.events.shift(); event !== undefined; event = own.events.shift()) {
            if (isOf(event, stopped)) continue;
            yield event;
            signal?.throwIfAborted();
          }
          signal?.throwIfAborted();
          if (own.error !== undefined) throw own.error;
          if (own.isOver) return;
          await new Promise<void>((resolve) => {
            own.wake = resolve;
            if (own.events.length > 0 || own.isOver || signal?.aborted === true) resolve();
          });
        }
      } finally {
        signal?.removeEventListener('abort', abort);
        stop();
        pending.delete(id);
      }
    };
    return { [Symbol.asyncIterator]: events, stop };
  };

  return {
    models,
    ask,
    receive: (message) => {
      switch (message.type) {
        case 'answer': {
          const one = pending.get(message.id);
          if (one === undefined) return true;
          for (const token of message.tokens) one.events.push({ type: 'token', token });
          for (const finished of message.finished) one.events.push({ type: 'finished', ...finished });
          one.wake();
          return true;
        }
        case 'answered':
          pending.get(message.id)?.events.push({ type: 'done', by: message.by });
          end(message.id);
          return true;
        case 'ask-refused':
          end(message.id, new AskRefusedError(message.kind, message.reason, message.retrySeconds));
          return true;
        default:
          return false;
      }
    },
    unlinked: () => {
      const error = new AskRefusedError('failed', 'the link to the hub broke; ask again');
      for (const id of [...pending.keys()]) end(id, error);
    },
  };
}

/** Whether the event is of one of these samples. */
function isOf(event: AnswerEvent, samples: ReadonlySet<number>): boolean {
  if (event.type === 'done') return false;
  return samples.has(event.type === 'token' ? event.token.sample : event.sample);
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
