/** OpenAI's own client against the API's routes: what is refused, broken off and given up, and in which words. */

import type { APIError } from 'openai';
import { describe, expect, test } from 'vitest';
import { AskRefusedError } from '../../assembly/answering.ts';
import { failure, model, stageApi, user } from './api-stage.fixture.ts';

const api = stageApi();

describe('what is refused', () => {
  const wrong = (body: object): Promise<APIError> =>
    failure(api.client().chat.completions.create({ model, messages: user('x'), ...body } as never));

  test.each([
    ['n of none', { n: 0 }, 'n', null],
    ['n out of range', { n: 129 }, 'n', null],
    ['a fraction of an answer', { n: 1.5 }, 'n', null],
    ['a temperature out of range', { temperature: 3 }, 'temperature', null],
    ['a share above one', { top_p: 1.1 }, 'top_p', null],
    ['no tokens', { max_tokens: 0 }, 'max_tokens', null],
    ['an unknown field', { frobnicate: 1 }, 'frobnicate', 'unknown_parameter'],
    ['tools', { tools: [{ type: 'function', function: { name: 'f' } }] }, 'tools', null],
    ['a penalty', { frequency_penalty: 0.5 }, 'frequency_penalty', null],
    ['answers in JSON', { response_format: { type: 'json_object' } }, 'response_format', null],
    ['biases', { logit_bias: { 5: 1 } }, 'logit_bias', null],
    ['alternatives without log-probabilities', { top_logprobs: 3 }, 'top_logprobs', null],
    ['too many alternatives', { logprobs: true, top_logprobs: 21 }, 'top_logprobs', null],
    ['an empty stop', { stop: '' }, 'stop', null],
    ['no list of messages', { messages: 'hi' }, 'messages', null],
    ['a wrong message', { messages: [{ role: 'cat', content: 'x' }] }, 'messages', null],
    ['a picture', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages', null],
    ['options of streams', { stream_options: { x: 1 } }, 'stream_options.x', 'unknown_parameter'],
  ])('%s, by the name of its field', async (_, body, param, code) => {
    const error = await wrong(body);
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error.code ?? null).toBe(code);
    expect(api.toy.requests).toEqual([]);
  });

  test('fields that clients send by themselves are taken, and those that change nothing', async () => {
    const more = {
      user: 'u',
      store: false,
      metadata: { a: 'b' },
      service_tier: 'auto',
      parallel_tool_calls: true,
      frequency_penalty: 0,
      presence_penalty: null,
      logit_bias: {},
      tools: [],
      response_format: { type: 'text' },
      n: null,
      stop: null,
    };
    const found = await api.client().chat.completions.create({ model, messages: user('x'), ...more } as never);
    expect(found).toMatchObject({ choices: [{ finish_reason: 'stop' }] });
  });

  test('a prompt longer than the context, for both endpoints', async () => {
    const long = 'x'.repeat(128);
    const completion = await failure(api.client().completions.create({ model, prompt: long }));
    expect(completion).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'prompt' });
    const chat = await wrong({ messages: user(long) });
    expect(chat).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages' });
    await api.client().completions.create({ model, prompt: long.slice(1), max_tokens: 50 });
    expect(api.asked().maxTokens, 'the room that is left').toBe(1);
  });

  test.each([
    ['{"model": ', 400, 'invalid_json'],
    ['\u0000', 400, 'invalid_json'],
    ['[]', 400, null],
    ['{"prompt": "x"}', 400, 'missing_required_parameter'],
  ])('a body that is not what it should be: %j', async (body, status, code) => {
    const response = await api.post('/completions', body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', code } });
  });

  test('a body that is too large, announced or not', async () => {
    const response = await api.post('/completions', JSON.stringify({ model, prompt: 'x'.repeat(4 * 1024 * 1024) }));
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { code: 'request_too_large' } });
  });

  test('a path that is not there, and a method that is not possible', async () => {
    expect((await api.post('/embeddings', '{}')).status).toBe(404);
    const response = await api.get('/completions');
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });

  test('prompts that ask for too many answers together, and tokens outside the vocabulary', async () => {
    const many = await failure(api.client().completions.create({ model, prompt: ['a', 'b'], n: 100 }));
    expect(many).toMatchObject({ status: 400, param: 'n' });
    const outside = await failure(api.client().completions.create({ model, prompt: [1, 256] }));
    expect(outside).toMatchObject({ status: 400, param: 'prompt' });
  });
});

describe('a full queue', () => {
  const fullFor = (times: number): void => {
    let left = times;
    api.plan = {
      ...api.plan,
      admit: () => {
        if (left-- > 0) throw new AskRefusedError('busy', 'the queue is full', 1);
      },
    };
  };

  test('is told with the time after which to ask again', async () => {
    fullFor(9);
    const error = await failure(api.client().completions.create({ model, prompt: 'x', stream: true }));
    expect(error).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
    expect(error.headers?.get('retry-after')).toBe('1');
  });

  test("is waited out by OpenAI's client", async () => {
    fullFor(1);
    const started = performance.now();
    const found = await api.client({ maxRetries: 2 }).completions.create({ model, prompt: 'x', max_tokens: 5 });
    expect(found.choices[0]?.text).toBe('Hello');
    expect(performance.now() - started).toBeGreaterThan(900);
    expect(api.toy.ends).toEqual(['refused', 'done']);
  });
});

describe('a model that cannot go on', () => {
  test('is said with a status before the first token', async () => {
    api.plan = {
      ...api.plan,
      admit: () => {
        throw new AskRefusedError('failed', 'the job was cancelled');
      },
    };
    const error = await failure(api.client().completions.create({ model, prompt: 'x', stream: true }));
    expect(error).toMatchObject({ status: 503, type: 'server_error' });
    expect(error.message).toContain('the job was cancelled');
  });

  test('is said inside the stream after it', async () => {
    api.plan = {
      next: (_, __, place) => {
        if (place === 2) throw new AskRefusedError('failed', 'the last tab left');
        return 65;
      },
    };
    const stream = await api.client().completions.create({ model, prompt: 'x', stream: true });
    let text = '';
    const read = async (): Promise<void> => {
      for await (const { choices } of stream) text += choices[0]?.text ?? '';
    };
    await expect(read()).rejects.toThrow('the last tab left');
    expect(text).toBe('AA');
  });

  test('of which nobody holds the layers is given up, and says when to ask again', async () => {
    api.plan = { ...api.plan, pace: () => new Promise(() => {}) };
    const error = await failure(api.client().completions.create({ model, prompt: 'x' }));
    expect(error).toMatchObject({ status: 503, code: 'model_not_ready' });
    expect(error.headers?.get('retry-after')).toBe('10');
    expect(api.toy.ends).toEqual(['left']);
  });
});

describe('a client that hangs up', () => {
  const endless = () => (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

  test.each([true, false])('cancels its answer at once (stream: %s)', async (stream) => {
    api.plan = { next: () => 65, pace: endless() };
    const hangUp = new AbortController();
    const begun = performance.now();
    const asking = api
      .client()
      .completions.create({ model, prompt: 'x', max_tokens: 100, stream }, { signal: hangUp.signal });
    if (stream) {
      for await (const chunk of (await asking) as AsyncIterable<unknown>) {
        expect(chunk).toBeDefined();
        break;
      }
    } else {
      asking.catch(() => {});
      await expect.poll(() => api.toy.requests.length).toBe(1);
      hangUp.abort();
      await expect(asking).rejects.toThrow();
    }
    await expect.poll(() => api.toy.ends, { interval: 5 }).toEqual(['left']);
    // A hundred tokens would take half a second at least.
    expect(performance.now() - begun).toBeLessThan(450);
  });
});

describe('keys', () => {
  test('a wrong one is refused in a way that the client knows', async () => {
    expect(await failure(api.client({ apiKey: 'ts-wrong' }).models.list())).toMatchObject({
      status: 401,
      code: 'invalid_api_key',
      type: 'invalid_request_error',
    });
    expect((await api.client().models.list()).data).toHaveLength(1);
  });

  test('pages of other sites may ask who have one', async () => {
    const asking = await fetch(`${api.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://example.org',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-os',
      },
    });
    expect(asking.status).toBe(204);
    expect(asking.headers.get('access-control-allow-origin')).toBe('*');
    expect(asking.headers.get('access-control-allow-headers')).toContain('x-stainless-os');
  });
});
