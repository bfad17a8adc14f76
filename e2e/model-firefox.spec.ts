/**
 * The same model in Firefox, whose compiler for shaders is another and whose software adapter too: stages give equal bits in
 * every company, and a network that others trained tells the story that llama2.c tells.
 */

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'playwright/test';
import { memorySource } from '../src/core/byte-source.ts';
import { toBase64, utf8, viewBytes } from '../src/core/bytes.ts';
import { expectInput } from '../src/core/result.ts';
import { decodeGeneration } from '../src/inference/generation-result.ts';
import { openLlama2c } from '../src/models/weights/llama2c.ts';
import { loadParameters } from '../src/models/weights/llama-weights.ts';
import type { GeneratePlan } from '../src/protocol/manifest.ts';
import { artifactOf } from './pages/model-plans.ts';
import { launchFirefox } from './support/firefox.ts';
import { serveSources } from './support/sources.ts';

const data = '../shared/data';

test.describe.configure({ timeout: 300_000 });

test('Firefox: stages give equal bits in every company, and stories260K tells its 200 greedy tokens as llama2.c does', async () => {
  test.skip(!existsSync(`${data}/stories260K`), `${data}/stories260K is absent`);
  const firefox = await launchFirefox();
  const missing = 'why' in firefox ? firefox.why : '';
  test.skip(missing !== '', missing);
  if ('why' in firefox) return;
  const server = await serveSources('model');
  try {
    const page = await firefox.page(server.page('model'));
    await page.waitForFunction(() => 'modelUnderTest' in window, { timeout: 120_000 });
    expect(await page.evaluate(() => window.modelUnderTest.stages())).toEqual([]);
    const bytes = new Uint8Array(readFileSync(`${data}/stories260K/stories260K.bin`));
    const { config, file } = expectInput(await openLlama2c(memorySource('stories260K.bin', bytes)));
    const weights = viewBytes(await loadParameters(config, file));
    const oracle = JSON.parse(readFileSync(`${data}/oracle/stories260K_greedy.json`, 'utf8')) as {
      readonly runs: readonly { readonly prompt_tokens: number[]; readonly tokens: number[] }[];
    };
    expect(oracle.runs.length).toBeGreaterThan(0);
    for (const run of oracle.runs) {
      const expected = run.tokens.slice(run.prompt_tokens.length);
      const plan: GeneratePlan = {
        model: config,
        weights: artifactOf(weights),
        promptTokens: run.prompt_tokens,
        samplesPerUnit: 1,
        samples: 1,
        maxTokens: expected.length,
        temperature: 0,
        topK: 0,
        topP: 1,
        seed: 1,
        stopTokens: [],
      };
      const [result = ''] = await page.evaluate(
        (own, base64) => window.modelUnderTest.generate(own, base64, 1),
        plan,
        toBase64(weights),
      );
      const [sample] = expectInput(decodeGeneration(plan, 0, utf8(result)));
      expect(sample?.tokens).toEqual(expected);
    }
  } finally {
    await firefox.close();
    await server.close();
  }
});
