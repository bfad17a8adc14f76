/** Asking over a link that breaks, for readers that are slow, leave, or stop some of what they asked for. */

import { describe, expect, test } from 'vitest';
import type { JobId } from '../core/ids.ts';
import type { Message, MessageOf } from '../protocol/messages.ts';
import { LinkClosedError } from '../protocol/ports.ts';
import { AskRefusedError, type AnswerEvent, type AnswerRequest } from './answering.ts';
import { createAsker } from './asker.ts';

const job = 'ab'.repeat(32) as JobId;
const request: AnswerRequest = {
  promptTokens: [1, 2],
  firstSample: 0,
  samples: 2,
  maxTokens: 4,
  temperature: 0,
  topP: 1,
  topK: 0,
  seed: 1,
  stopTokens: [],
  topLogprobs: 0,
};

function openAsker(isLinked = true) {
  const sent: Message[] = [];
  const asker = createAsker({
    send: async (message) => {
      if (!isLinked) throw new LinkClosedError('no link stands');
      sent.push(message);
    },
    list: async () => [],
    chunk: () => Promise.reject(new Error('no chunk')),
  });
  const idOf = (index = 0): string =>
    sent.filter(({ type }) => type === 'ask').map((ask) => (ask as MessageOf<'ask'>).id)[index] ?? '';
  const tokens = (sample: number, ...some: number[]): void =>
    void asker.receive({
      type: 'answer',
      id: idOf(),
      tokens: some.map((token) => ({ sample, token, logprob: -1, top: [] })),
      finished: [],
    });
  const finish = (sample: number): void =>
    void asker.receive({ type: 'answer', id: idOf(), tokens: [], finished: [{ sample, reason: 'length' }] });
  const done = (): void => void asker.receive({ type: 'answered', id: idOf(), by: [] });
  return { asker, sent, idOf, tokens, finish, done };
}

const told = (event: AnswerEvent): string =>
  event.type === 'token'
    ? `${event.token.sample}:${event.token.token}`
    : event.type === 'finished'
      ? `${event.sample}.`
      : 'done';

/** Everything that comes, and what ended it. */
async function read(answer: AsyncIterable<AnswerEvent>, busy: (event: string) => unknown = () => undefined) {
  const events: string[] = [];
  try {
    for await (const event of answer) {
      events.push(told(event));
      await busy(told(event));
    }
  } catch (error) {
    return { events, error };
  }
  return { events, error: undefined };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('an answer', () => {
  test('comes event by event and ends with its last word', async () => {
    const { asker, tokens, finish, done } = openAsker();
    const reading = read(asker.ask(job, request));
    await turn();
    tokens(0, 5);
    await turn();
    tokens(1, 6);
    finish(0);
    finish(1);
    done();
    expect(await reading).toEqual({ events: ['0:5', '1:6', '0.', '1.', 'done'], error: undefined });
  });

  test('is whole for who reads slowly: what comes while they are busy is not lost, the end included', async () => {
    const { asker, tokens, finish, done } = openAsker();
    let isFirst = true;
    const reading = read(asker.ask(job, request), async () => {
      if (!isFirst) return;
      isFirst = false;
      tokens(0, 6, 7);
      finish(0);
      done();
      await turn();
    });
    await turn();
    tokens(0, 5);
    expect((await reading).events).toEqual(['0:5', '0:6', '0:7', '0.', 'done']);
  });

  test('has nothing more of samples that were stopped, though it was on its way or here already', async () => {
    const { asker, sent, idOf, tokens, finish, done } = openAsker();
    const answer = asker.ask(job, request);
    const reading = read(answer, (event) => {
      if (event === '0:5') answer.stop([0]);
    });
    await turn();
    tokens(0, 5, 6);
    tokens(1, 8);
    await turn();
    tokens(0, 7);
    finish(0);
    finish(1);
    done();
    expect((await reading).events).toEqual(['0:5', '1:8', '1.', 'done']);
    expect(sent.slice(1)).toEqual([{ type: 'ask-stop', id: idOf(), samples: [0] }]);
  });

  test('of which samples were stopped before it began is asked for and stopped at once', async () => {
    const { asker, sent, idOf, tokens, done } = openAsker();
    const answer = asker.ask(job, request);
    answer.stop([1]);
    expect(sent).toEqual([]);
    const reading = read(answer);
    await turn();
    expect(sent.slice(1)).toEqual([{ type: 'ask-stop', id: idOf(), samples: [1] }]);
    tokens(1, 5);
    tokens(0, 5);
    done();
    expect((await reading).events).toEqual(['0:5', 'done']);
  });

  test('that its reader leaves, or whose signal aborts, is stopped at the hub', async () => {
    for (const isAborted of [false, true]) {
      const { asker, sent, idOf, tokens } = openAsker();
      const abort = new AbortController();
      const reading = (async () => {
        for await (const event of asker.ask(job, request, abort.signal)) {
          if (isAborted) abort.abort();
          else if (event.type === 'token') return;
        }
      })();
      await turn();
      tokens(0, 5, 6);
      if (isAborted) await expect(reading).rejects.toThrow('abort');
      else await reading;
      expect(sent.slice(1)).toEqual([{ type: 'ask-stop', id: idOf() }]);
    }
  });

  test('whose signal aborts while nothing comes ends at once; one that was aborted before is never asked for', async () => {
    const { asker, sent } = openAsker();
    const abort = new AbortController();
    const reading = read(asker.ask(job, request, abort.signal));
    await turn();
    abort.abort();
    expect((await reading).error).toMatchObject({ name: 'AbortError' });
    const before = sent.length;
    expect((await read(asker.ask(job, request, abort.signal))).error).toMatchObject({ name: 'AbortError' });
    expect(sent).toHaveLength(before);
  });

  test('is read once: a second reader is told so, and the first goes on', async () => {
    const { asker, sent, tokens, done } = openAsker();
    const answer = asker.ask(job, request);
    const first = read(answer);
    await turn();
    expect((await read(answer)).error).toMatchObject({ message: expect.stringContaining('once') as string });
    tokens(0, 5);
    done();
    expect((await first).events).toEqual(['0:5', 'done']);
    expect(sent).toHaveLength(1);
  });

  test('fails when the link breaks, after what had come, and where none stands', async () => {
    const { asker, tokens } = openAsker();
    const reading = read(asker.ask(job, request));
    await turn();
    tokens(0, 5);
    asker.unlinked();
    const { events, error } = await reading;
    expect(events).toEqual(['0:5']);
    expect(error).toBeInstanceOf(AskRefusedError);
    expect((await read(openAsker(false).asker.ask(job, request))).error).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('no link stands') as string,
    });
  });

  test('that the hub refuses says why, and when to ask again', async () => {
    const { asker, idOf } = openAsker();
    const reading = read(asker.ask(job, request));
    await turn();
    asker.receive({ type: 'ask-refused', id: idOf(), kind: 'busy', reason: 'too many', retrySeconds: 5 });
    expect((await reading).error).toMatchObject({ kind: 'busy', retrySeconds: 5, message: 'too many' });
  });

  test('of two goes to the one who asked; words for nobody are left alone', async () => {
    const { asker, idOf, tokens, done } = openAsker();
    const [first, second] = [read(asker.ask(job, request)), read(asker.ask(job, request))];
    await turn();
    expect(idOf(0)).not.toBe(idOf(1));
    tokens(0, 5);
    expect(asker.receive({ type: 'answered', id: idOf(1), by: [] })).toBe(true);
    expect(asker.receive({ type: 'answered', id: 'f'.repeat(32), by: [] })).toBe(true);
    expect(asker.receive({ type: 'pong', id: 1 })).toBe(false);
    done();
    expect((await first).events).toEqual(['0:5', 'done']);
    expect((await second).events).toEqual(['done']);
  });
});
