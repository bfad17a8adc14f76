/**
 * A model over several tabs: cut into stages it gives the tokens that llama2.c gives for the whole, and goes on with the same
 * tokens when the tab of any stage is closed in the middle of an answer.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Page } from 'playwright/test';
import type { AnswerEvent, ServedModel } from '../src/assembly/answering.ts';
import { prepareServeJob, serveDefaults, type ServeChoices } from '../src/assembly/serve-job.ts';
import type { Swarm } from '../src/assembly/swarm.ts';
import type { JobId } from '../src/core/ids.ts';
import { openServedModel } from '../src/node/model-source.ts';
import { connect } from '../src/node/sdk.ts';
import { patience, root, test, type Hub, type Stage } from './support/story.ts';

const data = join(root, '..', 'shared', 'data');
const model = join(data, 'stories260K', 'stories260K.bin');
const tokenizer = join(data, 'stories260K', 'tok512.bin');

interface Run {
  readonly prompt_tokens: readonly number[];
  readonly tokens: readonly number[];
}

const runs = existsSync(model)
  ? (JSON.parse(readFileSync(join(data, 'oracle', 'stories260K_greedy.json'), 'utf8')) as { runs: Run[] }).runs
  : [];
const run = runs[1] ?? { prompt_tokens: [], tokens: [] };
const expected = run.tokens.slice(run.prompt_tokens.length);

const request = {
  promptTokens: run.prompt_tokens,
  firstSample: 0,
  samples: 1,
  maxTokens: expected.length,
  temperature: 0,
  topP: 1,
  topK: 0,
  seed: 0,
  stopTokens: [],
  topLogprobs: 0,
};

test.skip(runs.length === 0, 'needs the stories of ../shared/data');

async function offer(stage: Stage, swarm: Swarm, choices: Partial<ServeChoices>): Promise<JobId> {
  const source = await openServedModel(model, tokenizer);
  stage.after(() => source.close());
  const name = `stories-${choices.stages ?? 1}`;
  const prepared = await prepareServeJob(source, { ...serveDefaults, name, ...choices }, swarm.prepareOptions());
  const handle = await swarm.submitter.submit(prepared);
  stage.after(() => handle.cancel());
  return prepared.job;
}

/** Waits until every stage has its tab. */
async function isUp(swarm: Swarm, job: JobId): Promise<ServedModel> {
  const served = async () => (await swarm.submitter.answering.models()).find((one) => one.job === job);
  await expect.poll(async () => (await served())?.isUp, patience).toBe(true);
  const found = await served();
  if (found === undefined) throw new Error('the model is not served');
  return found;
}

/** All events of one answer; `seen` is told how many tokens came so far. */
async function answer(swarm: Swarm, served: ServedModel, seen: (tokens: number) => unknown = () => undefined) {
  const events: AnswerEvent[] = [];
  const times: number[] = [];
  let tokens = 0;
  for await (const event of swarm.submitter.answering.ask(served.job, request)) {
    events.push(event);
    if (event.type !== 'token') continue;
    times.push(performance.now());
    await seen(++tokens);
  }
  return {
    tokens: events.flatMap((event) => (event.type === 'token' ? [event.token.token] : [])),
    by: events.flatMap((event) => (event.type === 'done' ? event.by : [])),
    times,
  };
}

const pauseOf = (times: readonly number[]): number =>
  Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? time)));

const tabs = (stage: Stage, hub: Hub, count: number): Promise<Page[]> =>
  Array.from({ length: count }).reduce<Promise<Page[]>>(
    async (before) => [...(await before), await stage.volunteer(hub.url)],
    Promise.resolve([]),
  );

test('a model over 2, 3 and 5 tabs gives the tokens of the whole', async ({ stage }) => {
  const hub = await stage.hub();
  const swarm = await connect(hub.url, { data: hub.data });
  stage.after(() => swarm.close());
  const open = await tabs(stage, hub, 5);
  for (const stages of [1, 2, 3, 5]) {
    const served = await isUp(swarm, await offer(stage, swarm, { stages }));
    const { tokens, by, times } = await answer(swarm, served);
    expect(tokens).toEqual(expected);
    expect(by.map((one) => one.stage)).toEqual(Array.from({ length: stages }, (_, index) => index));
    expect(new Set(by.map(({ account }) => account)).size).toBe(stages);
    expect(by.reduce((sum, { layers }) => sum + layers, 0)).toBe(5);
    const span = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / (times.length - 1);
    console.log(`${stages} stages: ${span.toFixed(1)} ms a token`);
    swarm.cancel(served.job);
    await expect.poll(async () => (await swarm.submitter.answering.models()).length, patience).toBe(0);
  }
  for (const page of open) await page.close();
});

test('an answer goes on with the same tokens when the tab of any stage is closed at token 50', async ({ stage }) => {
  const hub = await stage.hub();
  const swarm = await connect(hub.url, { data: hub.data });
  stage.after(() => swarm.close());
  const offered = await offer(stage, swarm, { stages: 3, spares: 1 });
  // Places are filled in order: the stages, once there are volunteers for all of them, and then their spares.
  const places: Page[] = [];
  for (let place = 0; place < 6; place++) {
    places.push(await stage.volunteer(hub.url));
    await expect.poll(() => readyPlaces(hub, offered), patience).toBe(place < 2 ? 0 : place + 1);
  }
  const served = await isUp(swarm, offered);
  for (const killed of [0, 1, 2]) {
    const before = await answer(swarm, served);
    expect(before.tokens).toEqual(expected);
    const { tokens, by, times } = await answer(swarm, served, async (count) => {
      // As its owner would close it: without a word to anybody.
      if (count === 50) await places[killed]?.context().close();
    });
    expect(tokens).toEqual(expected);
    expect(by.filter((one) => one.stage === killed)).toHaveLength(2);
    console.log(
      `stage ${killed} of 3 closed at token 50: longest pause ${pauseOf(times).toFixed(0)} ms, ` +
        `without a death ${pauseOf(before.times).toFixed(0)} ms`,
    );
  }
});

test('without a spare an answer waits until somebody has the stage, and then goes on with the same tokens', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const swarm = await connect(hub.url, { data: hub.data });
  stage.after(() => swarm.close());
  const offered = await offer(stage, swarm, { stages: 2 });
  const first = await stage.volunteer(hub.url);
  await stage.volunteer(hub.url);
  const served = await isUp(swarm, offered);
  let another: Promise<Page> | undefined;
  const { tokens } = await answer(swarm, served, async (count) => {
    if (count !== 50) return;
    await first.context().close();
    another = stage.volunteer(hub.url);
  });
  expect(tokens).toEqual(expected);
  await another;
});

const readyPlaces = async (hub: Hub, served: JobId): Promise<number> =>
  (await hub.jobs()).find(({ job }) => job === served)?.accepted ?? 0;
