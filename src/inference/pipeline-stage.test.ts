/**
 * Pipelines of stage machines on a network that delays and reorders between pairs, with stages that die in the middle. In
 * place of a network of weights stands a toy (`toy-network.fixture.ts`) that no lost or repeated row goes past unseen.
 */

import { describe, expect, test } from 'vitest';
import { createRandom, type Random } from '../core/prng.ts';
import type { ChosenToken, ServeSampling } from '../protocol/serving-messages.ts';
import {
  createPipelineStage,
  type PipelineStage,
  type StageBatch,
  type StageInput,
  type StageOutput,
} from './pipeline-stage.ts';
import { createToyDevice, toyAnswer, toyWidth, type ToyDevice } from './toy-network.fixture.ts';

const width = toyWidth;
const sampling: ServeSampling = {
  maxTokens: 12,
  temperature: 1,
  topP: 1,
  topK: 0,
  seed: 3,
  stopTokens: [],
  topLogprobs: 0,
};

interface Asked {
  readonly prompt: number;
  readonly promptTokens: readonly number[];
  readonly samples: readonly { readonly stream: number; readonly sample: number }[];
  readonly sampling: ServeSampling;
}

/** A ring of machines; the hub keeps the tokens that the first stage reports. */
class Ring {
  readonly got = new Map<number, number[]>();
  readonly batches: StageBatch[] = [];
  rowsSent = 0;
  private readonly random: Random;
  private readonly rowsMax: number;
  private readonly asked: Asked[] = [];
  private readonly closed = new Set<number>();
  private nodes: { machine: PipelineStage; device: ToyDevice; life: number }[] = [];
  /** Messages on their way, in order for each pair and life; `life` fences what was meant for a dead stage. */
  private mail: { to: number; life: number; input: StageInput }[] = [];
  private lives = 0;

  constructor(stages: number, random: Random, rowsMax: number) {
    this.random = random;
    this.rowsMax = rowsMax;
    this.nodes = Array.from({ length: stages }, (_, stage) => this.newNode(stage, stages));
    for (let stage = 0; stage < stages; stage++) this.wire(stage);
  }

  ask(request: Asked): void {
    this.asked.push(request);
    for (const stage of this.nodes.keys()) this.open(stage, request);
  }

  close(stream: number): void {
    this.closed.add(stream);
    for (const stage of this.nodes.keys()) this.post(stage, { type: 'close', streams: [stream] });
  }

  /** The stage's volunteer goes away; another takes over with an empty cache. */
  kill(stage: number): void {
    const count = this.nodes.length;
    this.nodes[stage] = this.newNode(stage, count);
    this.mail = this.mail.filter(({ to }) => to !== stage);
    for (const request of this.asked) this.open(stage, request);
    for (const near of new Set([(stage + count - 1) % count, stage, (stage + 1) % count])) this.wire(near);
  }

  /** One thing happens: a message arrives, or a stage computes. False when all is quiet. */
  step(): boolean {
    const busy = this.nodes.map((_, stage) => stage).filter((stage) => this.computeOrder.includes(stage));
    const choices = this.mail.length + busy.length;
    if (choices === 0) return false;
    const choice = this.random.below(choices);
    if (choice < this.mail.length) this.deliver(choice);
    else this.compute(busy[choice - this.mail.length] ?? 0);
    return true;
  }

  openCaches(): number {
    return this.nodes.reduce((sum, { device }) => sum + device.open(), 0);
  }

  /** Stages that may have something to compute: any that was told something since it last had nothing. */
  private computeOrder: number[] = [];

  private newNode(stage: number, stages: number) {
    const ends = { isFirst: stage === 0, isLast: stage === stages - 1 };
    const machine = createPipelineStage({ ...ends, width, rowsMax: this.rowsMax, stages });
    return { machine, device: createToyDevice({ stage, stages }), life: this.lives++ };
  }

  private wire(stage: number): void {
    const count = this.nodes.length;
    const nameOf = (of: number) => (count === 1 ? undefined : `life ${this.nodes[of % count]?.life ?? -1}`);
    this.post(stage, { type: 'wired', previous: nameOf(stage + count - 1), next: nameOf(stage + 1) });
  }

  private open(stage: number, { prompt, promptTokens, samples, sampling: how }: Asked): void {
    const left = samples.filter(({ stream }) => !this.closed.has(stream));
    if (left.length === 0) return;
    const known = left.map((one) => ({ ...one, tokens: [...(this.got.get(one.stream) ?? [])] }));
    const request = { prompt, promptTokens: [...promptTokens], count: known.length, samples: known, sampling: how };
    this.post(stage, { type: 'open', request });
  }

  private post(to: number, input: StageInput): void {
    this.mail.push({ to, life: this.nodes[to]?.life ?? -1, input });
  }

  private deliver(choice: number): void {
    const chosen = this.mail[choice];
    // Between two ends messages keep their order: the first to the same stage of the same kind of sender goes first.
    const index = this.mail.findIndex(({ to, input }) => to === chosen?.to && sender(input) === sender(chosen.input));
    const [letter] = this.mail.splice(index, 1);
    if (letter === undefined) return;
    const node = this.nodes[letter.to];
    if (node === undefined || node.life !== letter.life) return;
    this.send(letter.to, node.machine.receive(letter.input));
    if (!this.computeOrder.includes(letter.to)) this.computeOrder.push(letter.to);
  }

  private compute(stage: number): void {
    const node = this.nodes[stage];
    const batch = node?.machine.next();
    if (node === undefined || batch === undefined) {
      this.computeOrder = this.computeOrder.filter((one) => one !== stage);
      return;
    }
    this.batches.push(batch);
    this.send(stage, node.machine.computed(batch, node.device.run(batch)));
  }

  private send(from: number, outputs: readonly StageOutput[]): void {
    const count = this.nodes.length;
    for (const output of outputs) {
      if (output.type === 'tokens' && output.to === 'hub') this.report(output.tokens);
      else if (output.type === 'tokens') this.post((from + 1) % count, { type: 'tokens', tokens: output.tokens });
      else if (output.type === 'want') {
        this.post((from + count - 1) % count, { ...output, from: `life ${this.nodes[from]?.life ?? -1}` });
      } else {
        this.rowsSent += output.rows.length;
        this.post((from + 1) % count, output);
      }
    }
  }

  private report(tokens: readonly ChosenToken[]): void {
    for (const { stream, position, token } of tokens) {
      const prompt = this.asked.find(({ samples }) => samples.some((one) => one.stream === stream))?.promptTokens ?? [];
      const own = this.got.get(stream) ?? [];
      if (position === prompt.length + own.length) own.push(token);
      this.got.set(stream, own);
    }
  }
}

const sender = (input: StageInput): string =>
  input.type === 'rows' || input.type === 'tokens' ? 'previous' : input.type === 'want' ? 'next' : 'hub';

function requestsOf(random: Random, count: number, samples: number): Asked[] {
  let stream = 1;
  return Array.from({ length: count }, (_, index) => ({
    prompt: stream++,
    promptTokens: Array.from({ length: 1 + random.below(9) }, () => random.below(40)),
    samples: Array.from({ length: samples }, (_unused, sample) => ({ stream: stream++, sample: 10 * index + sample })),
    sampling: { ...sampling, stopTokens: index % 2 === 0 ? [] : [7, 8, 9] },
  }));
}

function expectAnswers(ring: Ring, stages: number, requests: readonly Asked[]): void {
  for (const { promptTokens, samples, sampling: how } of requests) {
    for (const { stream, sample } of samples) {
      expect(ring.got.get(stream)).toEqual(toyAnswer(stages, promptTokens, sample, how));
    }
  }
}

describe('a pipeline of stages', () => {
  test.each([1, 2, 3, 5])('of %i gives every sample its own tokens, however messages interleave', (stages) => {
    for (let seed = 0; seed < 20; seed++) {
      const random = createRandom(seed, stages);
      const ring = new Ring(stages, random, 1 + random.below(8));
      const requests = requestsOf(random, 3, 3);
      for (const request of requests) {
        ring.ask(request);
        for (let step = 0; step < 30; step++) ring.step();
      }
      while (ring.step());
      expectAnswers(ring, stages, requests);
    }
  });

  test.each([2, 3, 5])('of %i goes on with the same tokens when stages die at any moment', (stages) => {
    for (let seed = 0; seed < 60; seed++) {
      const random = createRandom(seed, 100 + stages);
      const ring = new Ring(stages, random, 1 + random.below(8));
      const requests = requestsOf(random, 2, 2);
      for (const request of requests) ring.ask(request);
      for (let death = 0; death < 4; death++) {
        const steps = random.below(120);
        for (let step = 0; step < steps; step++) ring.step();
        ring.kill(random.below(stages));
      }
      while (ring.step());
      expectAnswers(ring, stages, requests);
    }
  });

  test('the last stage, when it is taken over, is given every row again', () => {
    const random = createRandom(5);
    const ring = new Ring(2, random, 4);
    const [request] = requestsOf(random, 1, 1);
    if (request === undefined) throw new Error('no request');
    ring.ask(request);
    while (ring.step());
    const before = ring.rowsSent;
    ring.kill(1);
    while (ring.step());
    // Everything was given again: the prompt and all of the sample's rows.
    expect(ring.rowsSent - before).toBe(request.promptTokens.length + sampling.maxTokens - 1);
  });

  test('a stage that is taken over makes its neighbour behind want only what it lacks', () => {
    const random = createRandom(6);
    const ring = new Ring(3, random, 4);
    const requests = requestsOf(random, 1, 1);
    for (const request of requests) ring.ask(request);
    while (ring.step());
    const before = ring.rowsSent;
    const prompt = requests[0]?.promptTokens.length ?? 0;
    ring.kill(1);
    while (ring.step());
    // Only the first stage's rows travel again, to the new second stage.
    expect(ring.rowsSent - before).toBe(prompt + sampling.maxTokens - 1);
  });

  test('a prompt is computed once for all of its samples', () => {
    const random = createRandom(7);
    const ring = new Ring(1, random, 64);
    const request = { prompt: 1, promptTokens: [1, 2, 3, 4, 5], sampling };
    ring.ask({ ...request, samples: Array.from({ length: 6 }, (_, sample) => ({ stream: 10 + sample, sample })) });
    while (ring.step());
    const prompts = ring.batches.filter(({ kind }) => kind === 'prefill').flatMap(({ rows }) => rows);
    expect(prompts).toHaveLength(5);
    const decodes = ring.batches.filter(({ kind, rows }) => kind === 'decode' && rows.length > 0);
    expect(decodes.map(({ rows }) => rows.length)).toEqual(Array.from({ length: 11 }, () => 6));
  });

  test('samples go around in as many groups as there are stages, so that each has something to do', () => {
    const samples = Array.from({ length: 7 }, (_, sample) => ({ stream: 10 + sample, sample }));
    for (const [stages, group] of [
      [1, 7],
      [2, 4],
      [3, 3],
      [7, 1],
    ] as const) {
      const ring = new Ring(stages, createRandom(3), 64);
      ring.ask({ prompt: 1, promptTokens: [1, 2], sampling, samples });
      while (ring.step());
      const sizes = ring.batches
        .filter(({ kind, tokens }) => kind === 'decode' && tokens !== undefined)
        .map(({ rows }) => rows.length);
      expect(Math.max(...sizes)).toBe(group);
    }
  });

  test('streams that are closed free their caches, and their prompt goes with the last of them', () => {
    const random = createRandom(8);
    const ring = new Ring(3, random, 8);
    const requests = requestsOf(random, 2, 2);
    for (const request of requests) ring.ask(request);
    for (let step = 0; step < 200; step++) ring.step();
    for (const { samples } of requests) for (const { stream } of samples) ring.close(stream);
    while (ring.step());
    expect(ring.openCaches()).toBe(0);
  });

  test('rows of the wrong width, unknown streams and tokens out of turn are left alone', () => {
    const machine = createPipelineStage({ isFirst: false, isLast: false, width, rowsMax: 4, stages: 3 });
    machine.receive({ type: 'wired', previous: 'a', next: 'b' });
    const request = {
      prompt: 1,
      promptTokens: [3, 4],
      count: 1,
      samples: [{ stream: 2, sample: 0, tokens: [] }],
      sampling,
    };
    expect(machine.receive({ type: 'open', request })).toEqual([
      {
        type: 'want',
        wants: [
          [1, 0],
          [2, 2],
        ],
      },
    ]);
    expect(machine.receive({ type: 'rows', rows: [[1, 0]], values: new Float32Array(3) })).toEqual([]);
    expect(machine.receive({ type: 'rows', rows: [[9, 0]], values: new Float32Array(2) })).toEqual([]);
    expect(machine.next()).toBeUndefined();
    // A gap is asked for again.
    const gap = machine.receive({ type: 'rows', rows: [[1, 1]], values: new Float32Array(2) });
    expect(gap).toEqual([{ type: 'want', wants: [[1, 0]] }]);
    expect(
      machine.receive({ type: 'tokens', tokens: [{ stream: 2, position: 9, token: 1, logprob: 0, top: [] }] }),
    ).toEqual([]);
  });
});
