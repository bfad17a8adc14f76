/**
 * Strangers' tabs answer an OpenAI client: stories260K served by one tab and then by two, asked over the hub's API with the
 * official client, whole and streamed, by somebody who leaves, and by somebody without a key. Greedy answers are llama2.c's.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { expect } from 'playwright/test';
import type { AnswerReceipt } from '../src/node/openai/receipts.ts';
import { patience, root, test, type Hub } from './support/story.ts';

const data = join(root, '..', 'shared', 'data');
const folder = join(data, 'stories260K');
const files = ['--model', join(folder, 'stories260K.bin'), '--tokenizer', join(folder, 'tok512.bin')];

interface Run {
  readonly prompt: string;
  readonly prompt_tokens: readonly number[];
  readonly tokens: readonly number[];
  readonly text: string;
}
const runs = existsSync(folder)
  ? (JSON.parse(readFileSync(join(data, 'oracle', 'stories260K_greedy.json'), 'utf8')) as { runs: Run[] }).runs
  : [];
const run = runs[1] ?? { prompt: '', prompt_tokens: [], tokens: [], text: '' };
const tokens = run.tokens.length - run.prompt_tokens.length;
/** The whole story without its beginning. */
const story = run.text.trimStart().slice(run.prompt.length);

test.skip(runs.length === 0, 'needs the stories of ../shared/data');

const clientOf = (hub: Hub, apiKey = 'none'): OpenAI => new OpenAI({ apiKey, baseURL: `${hub.url}/v1`, maxRetries: 0 });

/** Waits until the model answers. */
async function isUp(client: OpenAI, name: string): Promise<void> {
  const up = async (): Promise<boolean> => {
    const { data: models } = await client.models.list();
    const model = models.find(({ id }) => id === name);
    return model !== undefined && (Reflect.get(model, 'tabswarm') as { is_up: boolean }).is_up;
  };
  await expect.poll(up, patience).toBe(true);
}

const greedy = { prompt: run.prompt, temperature: 0, max_tokens: tokens } as const;

async function receiptOf(hub: Hub, answer: object): Promise<AnswerReceipt> {
  const { receipt } = Reflect.get(answer, 'tabswarm') as { receipt: string };
  return (await (await fetch(`${hub.url}/v1/receipts/${receipt}`)).json()) as AnswerReceipt;
}

test('one tab answers completions and chats, whole, streamed and sampled', async ({ stage }) => {
  const hub = await stage.hub({ words: [...files, '--name', 'stories'] });
  await stage.volunteer(hub.url);
  const client = clientOf(hub);
  await isUp(client, 'stories');

  const whole = await client.completions.create({ model: 'stories', ...greedy });
  expect(whole.choices[0]?.text).toBe(story);
  expect(whole.usage).toMatchObject({ prompt_tokens: run.prompt_tokens.length, completion_tokens: tokens });
  const receipt = await receiptOf(hub, whole);
  expect(receipt).toMatchObject({
    model: 'stories',
    completion_tokens: tokens,
    computed_by: [{ stage: 0, layers: 5 }],
  });

  let streamed = '';
  let pieces = 0;
  const begun = performance.now();
  let first = 0;
  for await (const { choices } of await client.completions.create({ model: 'stories', ...greedy, stream: true })) {
    streamed += choices[0]?.text ?? '';
    pieces += 1;
    if (pieces === 2) first = performance.now() - begun;
  }
  const all = performance.now() - begun;
  expect(streamed).toBe(story);
  expect(pieces).toBeGreaterThan(tokens / 2);
  expect(first, 'the beginning comes long before the end').toBeLessThan(all / 2);

  const stopped = await client.completions.create({ model: 'stories', ...greedy, stop: ['. ', 'zebra'] });
  expect(stopped.choices[0]?.text).toBe(story.slice(0, story.indexOf('. ')));
  expect(stopped.choices[0]?.finish_reason).toBe('stop');

  const drawn = { model: 'stories', prompt: 'The', n: 3, seed: 5, max_tokens: 20, logprobs: 2 };
  const three = await client.completions.create(drawn);
  expect(new Set(three.choices.map(({ text }) => text)).size).toBe(3);
  for (const { logprobs } of three.choices) {
    expect(logprobs?.token_logprobs).toHaveLength(logprobs?.tokens?.length ?? -1);
    expect(logprobs?.token_logprobs?.every((one) => one <= 0)).toBe(true);
    expect(Object.keys(logprobs?.top_logprobs?.[0] ?? {}).length).toBeLessThanOrEqual(2);
  }
  const again = await client.completions.create(drawn);
  expect(again.choices.map(({ text }) => text)).toEqual(three.choices.map(({ text }) => text));

  const chat = await client.chat.completions.create({
    model: 'stories',
    messages: [{ role: 'user', content: 'Tell a story.' }],
    max_completion_tokens: 12,
    seed: 1,
  });
  expect(chat.choices[0]?.message.content?.length).toBeGreaterThan(0);
  console.log(
    `${tokens} tokens in ${(all / 1000).toFixed(1)} s, the first after ${first.toFixed(0)} ms; a chat said ${JSON.stringify(chat.choices[0]?.message.content)}`,
  );
});

test('two tabs answer as one, for several clients at once; who leaves costs nobody anything', async ({ stage }) => {
  const hub = await stage.hub();
  const words = ['--hub', hub.url, '--data', await stage.folder(), ...files, '--name', 'tales', '--stages', '2'];
  const serving = stage.command('serve', ...words);
  await stage.volunteer(hub.url);
  await stage.volunteer(hub.url);
  const client = clientOf(hub);
  await expect.poll(async () => (await client.models.list()).data.length, patience).toBe(1);
  await isUp(client, 'tales');

  const hangUp = new AbortController();
  const left = (async () => {
    const asking = { model: 'tales', prompt: 'One day', max_tokens: 400, stream: true } as const;
    for await (const chunk of await client.completions.create(asking, { signal: hangUp.signal }))
      if (chunk.choices[0]?.text !== '') hangUp.abort();
  })().catch(() => {});
  const answers = await Promise.all([1, 2, 3].map(() => client.completions.create({ model: 'tales', ...greedy })));
  await left;
  for (const answer of answers) {
    expect(answer.choices[0]?.text).toBe(story);
    const { computed_by: by } = await receiptOf(hub, answer);
    expect(by.map(({ stage: place }) => place).toSorted()).toEqual([0, 1]);
    expect(by.reduce((sum, { layers }) => sum + layers, 0)).toBe(5);
    expect(new Set(by.map(({ account }) => account)).size).toBe(2);
  }
  const running = async (): Promise<number> => {
    const [job] = await (async () =>
      (await (await fetch(`${hub.url}/swarm.json`)).json()) as { jobs: object[] })().then(({ jobs }) => jobs);
    return (Reflect.get(job ?? {}, 'serving') as { running: number } | undefined)?.running ?? 0;
  };
  await expect.poll(running, patience).toBe(0);

  const long = client.completions.create({ model: 'tales', prompt: 'word '.repeat(600) });
  await expect(long).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
  await expect(client.completions.create({ model: 'none', prompt: 'x' })).rejects.toMatchObject({ status: 404 });

  serving.kill('SIGINT');
  expect(await serving.ended, serving.stderr()).toBe(0);
  await expect.poll(async () => (await client.models.list()).data, patience).toEqual([]);
});

test('with a key nobody else is let in, and a key that is revoked is refused by the running hub', async ({ stage }) => {
  const hub = await stage.hub();
  const made = await stage.json('api-keys', '--add', 'a friend', '--data', hub.data);
  const keyed = clientOf(hub, String(made['key']));
  expect((await keyed.models.list()).data).toEqual([]);
  await expect(clientOf(hub).models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
  await stage.json('api-keys', '--revoke', String(made['id']), '--data', hub.data);
  await stage.json('api-keys', '--add', 'another', '--data', hub.data);
  await expect(keyed.models.list()).rejects.toMatchObject({ status: 401 });
});
