/**
 * The first model on the browser's own WebGPU: its gradient and its optimiser against f64, a training seat that repeats
 * itself, and a network that others trained, telling the story that llama2.c tells.
 */

import { existsSync, readFileSync } from 'node:fs';
import { expect, test, type Browser, type Page } from 'playwright/test';
import { memorySource } from '../src/core/byte-source.ts';
import { fromBase64, toBase64, utf8, viewBytes } from '../src/core/bytes.ts';
import { present } from '../src/core/assert.ts';
import { expectInput } from '../src/core/result.ts';
import { decodeGeneration } from '../src/inference/generation-result.ts';
import { decodeContribution } from '../src/learning/contribution.ts';
import { openLlama2c } from '../src/models/weights/llama2c.ts';
import { loadParameters } from '../src/models/weights/llama-weights.ts';
import { decodeLlama2cTokenizer } from '../src/models/llama2c-tokenizer.ts';
import { artifactOf, easyPlan } from './pages/model-plans.ts';
import { launch } from './support/browser.ts';
import { serveSources, type ServedSources } from './support/sources.ts';

const stories = '../shared/data/stories260K';
let server: ServedSources;
let browser: Browser;
let page: Page;

test.beforeAll(async () => {
  server = await serveSources('model');
  browser = await launch();
  page = await browser.newPage();
  await page.goto(server.page('model'));
  await page.waitForFunction(() => 'modelUnderTest' in window);
});

test.afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test.describe.configure({ timeout: 300_000 });

test('loss and whole gradient are those of the f64 network, and wrong targets would show', async () => {
  const check = await page.evaluate(() => window.modelUnderTest.gradient());
  expect(check.lossDifference).toBeLessThan(1e-5);
  expect(check.worst).toBeLessThan(1e-3);
  expect(check.worstWhenWrong).toBeGreaterThan(0.1);
});

test('five AdamW steps are those of f64, and they learn', async () => {
  const check = await page.evaluate(() => window.modelUnderTest.steps());
  expect(check.lossDifference).toBeLessThan(1e-4);
  expect(check.worst).toBeLessThan(1e-2);
  expect(check.lossAtLast).toBeLessThan(check.lossAtFirst);
});

test('a training seat learns, gives equal bits from a fresh start, and other bits when its moments go on', async () => {
  const text = utf8('the quick brown fox jumps over the lazy dog. '.repeat(60));
  const plan = easyPlan(text);
  const fresh = { round: 0, seat: 0, steps: 8, firstStep: 0, evaluate: true, fresh: true };
  const results = await page.evaluate(([given, data, rounds]) => window.modelUnderTest.seat(given, data, rounds), [
    plan,
    toBase64(text),
    [fresh, { ...fresh, fresh: false }, fresh],
  ] as const);
  expect(results[2]).toBe(results[0]);
  expect(results[1]).not.toBe(results[0]);
  const bytes = present(fromBase64(results[0] ?? ''), 'a contribution');
  const { report } = expectInput(decodeContribution(plan, bytes));
  expect(report.trainLoss).toBeLessThan(Math.log(256));
  expect(await page.evaluate(() => window.modelUnderTest.buffers())).toBe(0);
});

test('a warm training step makes nothing anew, in at most 30 dispatches a layer', async () => {
  const { step, dispatchesPerLayer } = await page.evaluate(() => window.modelUnderTest.countTraining());
  expect([step.buffers, step.bindGroups]).toEqual([0, 0]);
  expect(step.dispatches).toBeGreaterThan(3 * dispatchesPerLayer);
  expect(dispatchesPerLayer).toBeGreaterThan(0);
  expect(dispatchesPerLayer).toBeLessThanOrEqual(30);
});

test('a warm token makes nothing anew, in one submit, one readback and 9 dispatches a layer at most', async () => {
  const { tokens, unit, dispatchesPerLayer } = await page.evaluate(() => window.modelUnderTest.countDecoding());
  expect([unit.buffers, unit.bindGroups]).toEqual([0, 0]);
  expect(unit.submits).toBeGreaterThan(0);
  expect(unit.submits).toBeLessThanOrEqual(tokens);
  expect(unit.maps).toBeLessThanOrEqual(tokens);
  // The tokens, and at the end their probabilities; mappings are multiples of 8 bytes.
  expect(unit.mappedBytes).toBeLessThanOrEqual(8 * tokens + 8);
  expect(dispatchesPerLayer).toBeGreaterThan(0);
  expect(dispatchesPerLayer).toBeLessThanOrEqual(9);
});

test('logits have the same bits whatever number of sequences share the batch', async () => {
  expect(await page.evaluate(() => window.modelUnderTest.batchDependence())).toEqual([]);
});

test('stages give equal bits whole and in parts, in slices, behind shared pages, and in blocks of steps', async () => {
  expect(await page.evaluate(() => window.modelUnderTest.stages())).toEqual([]);
});

test('stories260K tells its 200 greedy tokens as llama2.c does', async () => {
  test.skip(!existsSync(stories), `${stories} is absent`);
  const source = memorySource('stories260K.bin', readFileSync(`${stories}/stories260K.bin`));
  const { config, file } = expectInput(await openLlama2c(source));
  const parameters = await loadParameters(config, file);
  const tokenizer = expectInput(
    decodeLlama2cTokenizer(readFileSync(`${stories}/tok512.bin`), config.vocabulary, 'tok512.bin'),
  );
  const oracle = JSON.parse(readFileSync(`${stories}/../oracle/stories260K_greedy.json`, 'utf8')) as {
    runs: { prompt: string; tokens: number[]; text: string }[];
  };
  const weights = viewBytes(parameters);
  for (const run of oracle.runs) {
    const promptTokens = tokenizer.encode(run.prompt);
    const plan = {
      model: config,
      weights: artifactOf(weights),
      promptTokens,
      samplesPerUnit: 1,
      samples: 1,
      maxTokens: run.tokens.length - promptTokens.length,
      temperature: 0,
      topP: 1,
      topK: 0,
      seed: 1,
      stopTokens: [...tokenizer.stop],
    };
    const [text] = await page.evaluate(([given, base64]) => window.modelUnderTest.generate(given, base64, 1), [
      plan,
      toBase64(weights),
    ] as const);
    const [sample] = expectInput(decodeGeneration(plan, 0, utf8(text ?? '')));
    expect(sample?.tokens).toEqual(run.tokens.slice(promptTokens.length));
    expect(tokenizer.decode([...promptTokens, ...(sample?.tokens ?? [])])).toBe(run.text);
  }
});
