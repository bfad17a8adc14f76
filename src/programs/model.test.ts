/** Training and generation units on a real device: Dawn in Node, where `TABSWARM_NODE_GPU=1` says that a GPU is at hand. */

import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { memorySource } from '../core/byte-source.ts';
import { equalBytes, fromUtf8, utf8, viewBytes, type Bytes } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { expectInput } from '../core/result.ts';
import { decodeGeneration } from '../inference/generation-result.ts';
import { sampleToken } from '../inference/sampling.ts';
import { checkReport, decodeContribution } from '../learning/contribution.ts';
import { initialParameters } from '../models/llama-parameters.ts';
import { MemoryError } from '../kernels/device.ts';
import { createTrainStep } from '../models/llama-train-step.ts';
import { logitsTruth } from '../models/llama-truth.ts';
import { openLlama2c } from '../models/weights/llama2c.ts';
import { loadParameters } from '../models/weights/llama-weights.ts';
import { openNodeGpu } from '../node/open-gpu.ts';
import type { GeneratePlan } from '../protocol/manifest.ts';
import { countGpu, noCounts, type GpuCounts } from '../../e2e/pages/gpu-counters.ts';
import {
  checkGradient,
  checkSteps,
  openGenerate,
  openSeat,
  quiet,
  runGenerate,
  runSeat,
} from '../../e2e/pages/model-checks.ts';
import { countDecoding, countTraining, sequencesThatDependOnTheBatch } from '../../e2e/pages/model-counters.ts';
import { artifactOf, easyPlan, smallConfig } from '../../e2e/pages/model-plans.ts';

const stories = '../shared/data/stories260K/stories260K.bin';
const text = utf8('the quick brown fox jumps over the lazy dog. '.repeat(60));
const firstRound = { round: 0, seat: 0, steps: 8, firstStep: 0, evaluate: true, fresh: true };

const generatePlan = (weights: Uint8Array, changes: Partial<GeneratePlan>): GeneratePlan => ({
  model: smallConfig,
  weights: artifactOf(weights),
  promptTokens: [1, 2, 3],
  samplesPerUnit: 3,
  samples: 7,
  maxTokens: 12,
  temperature: 0.9,
  topP: 0.95,
  topK: 20,
  seed: 77,
  stopTokens: [],
  ...changes,
});

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')(
  'training and generation on the GPU',
  { timeout: 180_000 },
  () => {
    let opened: OpenedDevice;
    let counts: GpuCounts;
    beforeAll(async () => {
      const gpu = await openNodeGpu();
      counts = countGpu(gpu);
      opened = await openDevice(gpu);
    }, 60_000);
    afterAll(() => opened.close());

    test('loss and whole gradient are those of the f64 network, and a wrong target shows', async () => {
      const check = await checkGradient(opened.device);
      expect(check.lossDifference).toBeLessThan(1e-5);
      expect(check.worst).toBeLessThan(1e-3);
      expect(check.worstWhenWrong).toBeGreaterThan(0.1);
    });

    test('five AdamW steps are those of f64', async () => {
      const check = await checkSteps(opened.device);
      expect(check.lossDifference).toBeLessThan(1e-4);
      expect(check.worst).toBeLessThan(1e-2);
      expect(check.lossAtLast).toBeLessThan(check.lossAtFirst);
    });

    test('a seat learns, repeats itself bit for bit from a fresh start, and goes on with its moments otherwise', async () => {
      const plan = easyPlan(text);
      const rounds = [firstRound, { ...firstRound, fresh: false }, firstRound];
      const results = await runSeat(opened.device, plan, text, rounds);
      const read = results.map((bytes) => expectInput(decodeContribution(plan, bytes)));
      const [first, kept, again] = results;
      expect(equalBytes(first ?? text, again ?? text)).toBe(true);
      expect(equalBytes(first ?? text, kept ?? text)).toBe(false);
      const parameters = viewBytes(initialParameters(plan.model, plan.seed));
      const report = read[0]?.report;
      const seat = { ...firstRound, parameters: artifactOf(parameters) };
      expect(report && checkReport(report, plan, seat, sha256(parameters)).ok).toBe(true);
      expect(report?.trainLoss).toBeLessThan(Math.log(256));
      expect(report?.validationLoss).toBeCloseTo(Math.log(256), 0);
      expect(report?.norm).toBeGreaterThan(0);
    });

    test('moments rest while another seat is served, and a look without steps reports the digest alone', async () => {
      const plan = easyPlan(text);
      const second = { ...firstRound, round: 1, firstStep: 8, fresh: false, evaluate: false };
      const straight = await runSeat(opened.device, plan, text, [firstRound, second]);
      const other = { ...firstRound, seat: 1, evaluate: false };
      const interrupted = await runSeat(opened.device, plan, text, [firstRound, other, second]);
      expect(equalBytes(straight[1] ?? text, interrupted[2] ?? text)).toBe(true);
      const [look] = await runSeat(opened.device, plan, text, [{ ...firstRound, steps: 0 }]);
      const read = expectInput(decodeContribution(plan, look ?? text));
      expect([read.vector, read.report.trainLoss, read.report.tokens]).toEqual([undefined, null, 0]);
    });

    test('moments outlive the device: on another, the next round is the one that would have been', async () => {
      const plan = easyPlan(text);
      const second = { ...firstRound, round: 1, firstStep: 8, fresh: false, evaluate: false };
      const straight = await runSeat(opened.device, plan, text, [firstRound, second]);
      const memory = new Map<string, Bytes>();
      await runSeat(opened.device, plan, text, [firstRound], memory);
      const another = await openDevice(await openNodeGpu());
      const [restored] = await runSeat(another.device, plan, text, [second], memory);
      const [forgetful] = await runSeat(another.device, plan, text, [second]);
      another.close();
      expect(equalBytes(straight[1] ?? text, restored ?? text)).toBe(true);
      expect(equalBytes(straight[1] ?? text, forgetful ?? text)).toBe(false);
    });

    test('samples are the ones that the f64 network and the CPU sampler draw, whatever they are batched with', async () => {
      const parameters = Float32Array.from(initialParameters(smallConfig, 9), (x) => x * 6);
      const weights = viewBytes(parameters);
      const plan = generatePlan(weights, {});
      const together = (await runGenerate(opened.device, plan, weights, 3)).flatMap((bytes, unit) =>
        expectInput(decodeGeneration(plan, unit, utf8(bytes))),
      );
      const alonePlan = generatePlan(weights, { samplesPerUnit: 1 });
      const alone = (await runGenerate(opened.device, alonePlan, weights, 7)).flatMap((bytes, unit) =>
        expectInput(decodeGeneration(alonePlan, unit, utf8(bytes))),
      );
      expect(together.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens));
      expect(new Set(together.map(({ tokens }) => tokens.join())).size).toBe(7);
      for (const { sample, tokens, logprob, finish } of together) {
        const sequence = [...plan.promptTokens];
        let sum = 0;
        for (let index = 0; index < 12; index++) {
          const logits = logitsTruth(smallConfig, parameters, sequence).slice(-smallConfig.vocabulary);
          const next = sampleToken(logits, plan, sample, sequence.length);
          sequence.push(next.token);
          sum += next.logProbability;
        }
        expect([tokens, finish]).toEqual([sequence.slice(3), 'length']);
        expect(logprob).toBeCloseTo(sum, 3);
      }
      const stop = together[0]?.tokens[4] ?? 0;
      const [stopped] = await runGenerate(opened.device, { ...plan, stopTokens: [stop] }, weights, 1);
      const sample = expectInput(decodeGeneration({ ...plan, stopTokens: [stop] }, 0, utf8(stopped ?? '')))[0];
      const end = together[0]?.tokens.indexOf(stop) ?? 0;
      expect([sample?.finish, sample?.tokens]).toEqual(['stop', together[0]?.tokens.slice(0, end)]);
    });

    test('64 samples are the same in one batch, in 4 of 16, in 10 of 7 and one by one backwards', async () => {
      const weights = viewBytes(Float32Array.from(initialParameters(smallConfig, 9), (x) => x * 6));
      const plan = generatePlan(weights, { samples: 64, samplesPerUnit: 64 });
      const drawn = async (samplesPerUnit: number): Promise<string> =>
        (await runGenerate(opened.device, { ...plan, samplesPerUnit }, weights, Math.ceil(64 / samplesPerUnit)))
          .flatMap((bytes) => (JSON.parse(bytes) as { samples: object[] }).samples.map((own) => JSON.stringify(own)))
          .join();
      const together = await drawn(64);
      expect(together.split('"sample"')).toHaveLength(65);
      expect(await drawn(16)).toBe(together);
      expect(await drawn(7)).toBe(together);
      const program = await openGenerate(opened.device, { ...plan, samplesPerUnit: 1 }, weights);
      const alone: string[] = [];
      for (let unit = 63; unit >= 0; unit--) {
        const { samples } = JSON.parse(fromUtf8(await program.run({ unit, ...quiet }))) as { samples: object[] };
        alone.unshift(...samples.map((own) => JSON.stringify(own)));
      }
      program.close();
      expect(alone.join()).toBe(together);
    });

    test('an aborted seat stops at its next step, and the program serves the next lease as if nothing had been', async () => {
      const plan = easyPlan(text);
      const parameters = viewBytes(initialParameters(plan.model, plan.seed));
      const program = await openSeat(opened.device, plan, text, parameters);
      const seat = { ...firstRound, parameters: artifactOf(parameters) };
      const abort = new AbortController();
      const stopped = program.run({
        unit: 0,
        seat,
        signal: abort.signal,
        progress: (done) => done > 0.3 && abort.abort(),
      });
      await expect(stopped).rejects.toThrow('aborted');
      const after = await program.run({ unit: 0, seat, signal: new AbortController().signal, progress: () => {} });
      program.close();
      const [undisturbed] = await runSeat(opened.device, plan, text, [firstRound]);
      expect(equalBytes(after, undisturbed ?? text)).toBe(true);
    });

    test('a warm training step makes nothing anew, in at most 30 dispatches a layer', async () => {
      const { step, dispatchesPerLayer } = await countTraining(opened.device, counts);
      expect([step.buffers, step.bindGroups]).toEqual([0, 0]);
      expect(dispatchesPerLayer).toBe(25);
    });

    test('a warm token makes nothing anew, in one submit, one readback and 9 dispatches a layer at most', async () => {
      const { tokens, unit, dispatchesPerLayer } = await countDecoding(opened.device, counts);
      expect([unit.buffers, unit.bindGroups]).toEqual([0, 0]);
      expect(unit.submits).toBeLessThanOrEqual(tokens);
      expect(unit.maps).toBeLessThanOrEqual(tokens);
      expect(unit.mappedBytes).toBeLessThanOrEqual(8 * tokens + 8);
      expect(dispatchesPerLayer).toBe(6);
    });

    test('what makes objects is counted, so the tests above can fail', async () => {
      Object.assign(counts, noCounts());
      const train = createTrainStep(opened.device, { config: smallConfig, batch: 1 });
      const tokens = new Uint32Array(smallConfig.context);
      await opened.device.run(train.step(tokens, tokens));
      await opened.device.flush();
      train.close();
      expect(counts.buffers).toBeGreaterThan(20);
      expect(counts.bindGroups).toBeGreaterThan(20);
      expect(counts.submits).toBeGreaterThan(0);
    });

    test('logits have the same bits whatever number of sequences share the batch', async () => {
      expect(await sequencesThatDependOnTheBatch(opened.device)).toEqual([]);
    });

    test('work that cannot fit is refused by name before anything is allocated', async () => {
      const small = await openDevice(await openNodeGpu(), { memoryBytesMax: 2 ** 20 });
      Object.assign(counts, noCounts());
      expect(() => createTrainStep(small.device, { config: smallConfig, batch: 256 })).toThrow(
        /^train: needs \d+\.\d MiB, 1\.0 MiB are free here; [^\n]+$/,
      );
      const weights = viewBytes(initialParameters(smallConfig, 9));
      const plan = generatePlan(weights, { samplesPerUnit: 512, samples: 512 });
      await expect(openGenerate(small.device, plan, weights)).rejects.toThrow(MemoryError);
      expect(small.device.usage()).toEqual({ buffers: 0, bytes: 0 });
      const fits = createTrainStep(small.device, { config: smallConfig, batch: 1 });
      fits.close();
      small.close();
    });

    test.skipIf(!existsSync(stories))('stories260K tells its 200 greedy tokens as llama2.c does', async () => {
      const source = memorySource('stories260K.bin', readFileSync(stories));
      const { config, file } = expectInput(await openLlama2c(source));
      const parameters = await loadParameters(config, file);
      const oracle = JSON.parse(readFileSync('../shared/data/oracle/stories260K_greedy.json', 'utf8')) as {
        runs: { prompt_tokens: number[]; tokens: number[] }[];
      };
      for (const run of oracle.runs) {
        const plan = generatePlan(viewBytes(parameters), {
          model: config,
          promptTokens: run.prompt_tokens,
          samples: 1,
          samplesPerUnit: 1,
          temperature: 0,
          topK: 0,
          topP: 1,
          maxTokens: run.tokens.length - run.prompt_tokens.length,
        });
        const [bytes] = await runGenerate(opened.device, plan, viewBytes(parameters), 1);
        const [sample] = expectInput(decodeGeneration(plan, 0, utf8(bytes ?? '')));
        expect(sample?.tokens).toEqual(run.tokens.slice(run.prompt_tokens.length));
      }
    });
  },
);
