/** OpenAI's own client against the API's routes: what is answered. What is refused is `refusals.test.ts`. */

import { describe, expect, test } from 'vitest';
import { utf8 } from '../../core/bytes.ts';
import { sha256 } from '../../core/hash.ts';
import { failure, model, says, stageApi, user } from './api-stage.fixture.ts';

const api = stageApi();

describe('models', () => {
  test('are listed and told by name, with their place in the swarm', async () => {
    const { data } = await api.client().models.list();
    expect(data).toMatchObject([{ id: model, object: 'model', created: 1_700_000_000, owned_by: 'tabswarm' }]);
    expect(await api.client().models.retrieve(model)).toMatchObject({
      id: model,
      tabswarm: { context: 128, layers: 3 },
    });
  });

  test('one that is not served is not found, and the error says which are', async () => {
    const error = await failure(api.client().models.retrieve('gpt-none'));
    expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    expect(error.message).toContain('toy/one');
    const asking = await failure(api.client().completions.create({ model: 'gpt-none', prompt: 'a' }));
    expect(asking).toMatchObject({ status: 404, code: 'model_not_found', type: 'invalid_request_error' });
  });
});

describe('answers', () => {
  test('a completion has text, usage and a finish reason, and asks as it was asked', async () => {
    const found = await api.client().completions.create({
      model,
      prompt: 'Once',
      max_tokens: 5,
      temperature: 0.5,
      top_p: 0.9,
      seed: 7,
    });
    expect(found).toMatchObject({
      object: 'text_completion',
      model,
      choices: [{ index: 0, text: 'Hello', finish_reason: 'length', logprobs: null }],
      usage: { prompt_tokens: 4, completion_tokens: 5, total_tokens: 9 },
    });
    expect(found.id).toMatch(/^cmpl-[0-9a-f]{24}$/);
    expect(api.asked()).toMatchObject({
      promptTokens: [...utf8('Once')],
      maxTokens: 5,
      temperature: 0.5,
      topP: 0.9,
      seed: 7,
      samples: 1,
      topLogprobs: 0,
    });
  });

  test('a chat goes through the template and ends where the model does', async () => {
    const found = await api.client().chat.completions.create({ model, messages: user('hi') });
    expect(found).toMatchObject({
      object: 'chat.completion',
      choices: [{ message: { role: 'assistant', content: 'Hello 0, a story.', refusal: null }, finish_reason: 'stop' }],
    });
    expect(String.fromCharCode(...api.asked().promptTokens)).toContain('<|im_start|>user\nhi<|im_end|>');
    // As much as the context holds.
    expect(api.asked().maxTokens).toBe(128 - api.asked().promptTokens.length);
  });

  test('a stream gives the same text in pieces, one after another', async () => {
    const stream = await api.client().chat.completions.create({ model, messages: user('hi'), stream: true });
    const pieces: string[] = [];
    const reasons: (string | null)[] = [];
    for await (const chunk of stream) {
      expect(chunk.object).toBe('chat.completion.chunk');
      for (const { delta, finish_reason } of chunk.choices) {
        if (delta.content !== undefined && delta.content !== null && delta.content !== '') pieces.push(delta.content);
        reasons.push(finish_reason);
      }
    }
    expect(pieces.join('')).toBe('Hello 0, a story.');
    expect(pieces.length).toBeGreaterThan(5);
    expect(reasons.at(-1)).toBe('stop');
    expect(reasons.filter((reason) => reason !== null)).toHaveLength(1);
  });

  test('the first piece arrives while the rest is not yet there', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    api.plan = { next: says('ab'), pace: (place) => (place === 1 ? held : Promise.resolve()) };
    const stream = await api.client().completions.create({ model, prompt: 'x', stream: true });
    let text = '';
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? '';
      if (text === 'a') release();
    }
    expect(text).toBe('ab');
  });

  test('a stream tells its usage in the last piece where it was asked for it', async () => {
    const stream = await api.client().completions.create({
      model,
      prompt: 'Once',
      max_tokens: 3,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 4, completion_tokens: 3 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  test('three choices are three samples of one seed, whole and streamed', async () => {
    const found = await api.client().completions.create({ model, prompt: 'x', n: 3, max_tokens: 7 });
    expect(found.choices.map(({ index, text }) => [index, text])).toEqual([
      [0, 'Hello 0'],
      [1, 'Hello 1'],
      [2, 'Hello 2'],
    ]);
    expect(found.usage).toMatchObject({ prompt_tokens: 1, completion_tokens: 21 });
    expect(api.asked()).toMatchObject({ firstSample: 0, samples: 3 });

    const texts = ['', '', ''];
    const reasons: unknown[] = [];
    const stream = await api.client().chat.completions.create({
      model,
      messages: user('x'),
      n: 3,
      max_completion_tokens: 7,
      stream: true,
    });
    for await (const { choices } of stream)
      for (const { index, delta, finish_reason: reason } of choices) {
        texts[index] += delta.content ?? '';
        if (reason !== null) reasons[index] = reason;
      }
    expect(texts).toEqual(['Hello 0', 'Hello 1', 'Hello 2']);
    expect(reasons).toEqual(['length', 'length', 'length']);
  });

  test('several prompts have choices of their own', async () => {
    api.plan = {
      next: (request, sample, place) => (place === 0 ? (request.promptTokens[0] ?? 0) + sample : undefined),
    };
    const found = await api.client().completions.create({ model, prompt: ['a', 'p'], n: 2 });
    expect(found.choices.map(({ text }) => text)).toEqual(['a', 'b', 'p', 'q']);
    const ids = await api.client().completions.create({ model, prompt: [[65], [70]] });
    expect(ids.choices.map(({ text }) => text)).toEqual(['A', 'F']);
  });

  test.each([
    ['one text', ', a', 'Hello 0'],
    ['the first of a list', ['story', 'lo'], 'Hel'],
    ['one that never comes', 'xyz', 'Hello 0, a story.'],
  ])('stop: %s, across the borders of tokens', async (_, stop, text) => {
    const found = await api.client().completions.create({ model, prompt: 'x', stop, max_tokens: 50 });
    expect(found.choices).toMatchObject([{ text, finish_reason: 'stop' }]);
    const stream = await api.client().completions.create({ model, prompt: 'x', stop, max_tokens: 50, stream: true });
    let streamed = '';
    for await (const { choices } of stream) streamed += choices[0]?.text ?? '';
    expect(streamed).toBe(text);
  });

  test('log-probabilities of a chat, with alternatives and bytes', async () => {
    api.plan = { next: says('é') };
    const found = await api.client().chat.completions.create({
      model,
      messages: user('x'),
      logprobs: true,
      top_logprobs: 2,
    });
    const [first, second] = found.choices[0]?.logprobs?.content ?? [];
    expect(found.choices[0]?.message.content).toBe('é');
    expect(first).toMatchObject({ token: '\uFFFD', bytes: [0xc3], logprob: -1 });
    expect(second).toMatchObject({ bytes: [0xa9], top_logprobs: [{ logprob: -1 }, { logprob: -2, bytes: [0xaa] }] });
    expect(api.asked().topLogprobs).toBe(2);
  });

  test('log-probabilities of a completion have places in its text', async () => {
    const found = await api.client().completions.create({ model, prompt: 'x', logprobs: 1, max_tokens: 3 });
    expect(found.choices[0]?.logprobs).toEqual({
      tokens: ['H', 'e', 'l'],
      token_logprobs: [-1, -1, -1],
      top_logprobs: [{ H: -1 }, { e: -1 }, { l: -1 }],
      text_offset: [0, 1, 2],
    });
  });

  test('echo puts the prompt before the answer', async () => {
    const found = await api.client().completions.create({ model, prompt: 'Say: ', echo: true, max_tokens: 5 });
    expect(found.choices[0]?.text).toBe('Say: Hello');
    let streamed = '';
    const asking = { model, prompt: 'Say: ', echo: true, max_tokens: 5, stream: true } as const;
    for await (const { choices } of await api.client().completions.create(asking)) streamed += choices[0]?.text ?? '';
    expect(streamed).toBe('Say: Hello');
  });
});

describe('receipts', () => {
  test('an answer names one, in a header and in the body, and its bytes have that digest', async () => {
    const response = await api
      .client()
      .completions.create({ model, prompt: 'x', max_tokens: 3, seed: 5 })
      .withResponse();
    const id = response.response.headers.get('x-tabswarm-receipt') ?? '';
    expect(response.data).toMatchObject({ tabswarm: { receipt: id, seed: 5 } });
    const told = await api.get(`/receipts/${id}`);
    const text = await told.text();
    expect(sha256(utf8(text))).toBe(id);
    expect(JSON.parse(text)).toEqual({
      version: 1,
      created: 1_700_000_000,
      model,
      job: 'ab'.repeat(32),
      seed: 5,
      prompt_tokens: 1,
      completion_tokens: 3,
      choices: [{ index: 0, finish_reason: 'length', tokens: 3 }],
      computed_by: [
        {
          pipeline: 0,
          stage: 0,
          firstLayer: 0,
          layers: 3,
          account: 'cd'.repeat(32),
          peer: 'ef'.repeat(16),
          deviceClass: 'toy',
        },
      ],
    });
  });

  test('a stream names one in its last piece', async () => {
    const ids: unknown[] = [];
    const stream = await api.client().completions.create({ model, prompt: 'x', stream: true });
    for await (const chunk of stream) ids.push(Reflect.get(chunk, 'tabswarm'));
    expect(ids.at(-1)).toMatchObject({ receipt: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(ids.slice(0, -1).every((id) => id === undefined)).toBe(true);
  });

  test.each(['0'.repeat(64), '..%2Fapi-keys', 'x'])('there is none called %s', async (id) => {
    const told = await api.get(`/receipts/${id}`);
    expect(told.status).toBe(404);
    expect(await told.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
  });
});
