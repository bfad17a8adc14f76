/** A stage's machine among words that come too early, too late, from strangers, or that no honest neighbour would say. */

import { describe, expect, test } from 'vitest';
import type { ServeSampling } from '../protocol/serving-messages.ts';
import { createPipelineStage, type PipelineStage, type StageOutput } from './pipeline-stage.ts';
import { createToyDevice, toyWidth } from './toy-network.fixture.ts';

const sampling: ServeSampling = {
  maxTokens: 4,
  temperature: 1,
  topP: 1,
  topK: 0,
  seed: 3,
  stopTokens: [],
  topLogprobs: 0,
};
const open = { prompt: 1, promptTokens: [3, 4], count: 1, samples: [{ stream: 2, sample: 0, tokens: [] }], sampling };

const stageOf = (stage: number, stages: number, rowsMax = 8) => {
  const machine = createPipelineStage({
    isFirst: stage === 0,
    isLast: stage === stages - 1,
    width: toyWidth,
    rowsMax,
    stages,
  });
  const device = createToyDevice({ stage, stages });
  return { machine, device };
};

/** Everything that can be computed. */
function run({ machine, device }: ReturnType<typeof stageOf>): StageOutput[] {
  const said: StageOutput[] = [];
  for (let batch = machine.next(); batch !== undefined; batch = machine.next()) {
    said.push(...machine.computed(batch, device.run(batch)));
  }
  return said;
}

const rowsIn = (outputs: readonly StageOutput[]) =>
  outputs.flatMap((output) => (output.type === 'rows' ? output.rows : []));
const wantAll = (machine: PipelineStage, from: string) =>
  machine.receive({
    type: 'want',
    from,
    wants: [
      [1, 0],
      [2, 2],
    ],
  });

describe('wants that come before the hub’s word', () => {
  test('are kept, however many strangers’ wants come after them', () => {
    const first = stageOf(0, 2);
    wantAll(first.machine, 'b');
    for (let stream = 0; stream < 20_000; stream++) {
      first.machine.receive({ type: 'want', from: 'a stranger', wants: [[100 + stream, 0]] });
    }
    first.machine.receive({ type: 'wired', previous: 'b', next: 'b' });
    first.machine.receive({ type: 'open', request: open });
    expect(rowsIn(run(first))).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  test('of somebody who never stands behind are never answered', () => {
    const first = stageOf(0, 2);
    first.machine.receive({ type: 'wired', previous: 'b', next: 'b' });
    first.machine.receive({ type: 'open', request: open });
    wantAll(first.machine, 'a stranger');
    expect(rowsIn(run(first))).toEqual([]);
  });
});

describe('a neighbour behind that left its place and has it again', () => {
  test('gets what it wants, though it said so before the hub’s word that it was gone arrived', () => {
    const first = stageOf(0, 2);
    first.machine.receive({ type: 'wired', previous: 'b', next: 'b' });
    first.machine.receive({ type: 'open', request: open });
    // Of its new life.
    wantAll(first.machine, 'b');
    first.machine.receive({ type: 'wired', previous: undefined, next: undefined });
    expect(rowsIn(run(first))).toEqual([]);
    const said = first.machine.receive({ type: 'wired', previous: 'b', next: 'b' });
    expect(rowsIn(said)).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  test('another one in its place gets nothing that it did not ask for', () => {
    const first = stageOf(0, 2);
    first.machine.receive({ type: 'wired', previous: 'b', next: 'b' });
    first.machine.receive({ type: 'open', request: open });
    wantAll(first.machine, 'b');
    first.machine.receive({ type: 'wired', previous: undefined, next: undefined });
    run(first);
    expect(rowsIn(first.machine.receive({ type: 'wired', previous: 'c', next: 'c' }))).toEqual([]);
    expect(rowsIn(wantAll(first.machine, 'c'))).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });
});

test('rows beyond a stream’s end are left alone', () => {
  const last = stageOf(1, 2, 64);
  last.machine.receive({ type: 'wired', previous: 'a', next: 'a' });
  last.machine.receive({ type: 'open', request: open });
  const some = (stream: number, from: number, count: number) =>
    last.machine.receive({
      type: 'rows',
      rows: Array.from({ length: count }, (_, index) => [stream, from + index] as const),
      values: new Float32Array(count * toyWidth).fill(1),
    });
  some(1, 0, 40);
  some(2, 2, 40);
  const batches: (readonly (readonly [number, number])[])[] = [];
  for (let batch = last.machine.next(); batch !== undefined; batch = last.machine.next()) {
    batches.push(batch.rows);
    last.machine.computed(batch, last.device.run(batch));
  }
  // Two of the prompt, and of a sample of four tokens all but the last one's.
  expect(batches.map((rows) => rows.length)).toEqual([2, 3]);
});

test('where a batch has no room for all samples, each has its turn', () => {
  const whole = stageOf(0, 1, 2);
  const samples = Array.from({ length: 5 }, (_, sample) => ({ stream: 2 + sample, sample, tokens: [] }));
  whole.machine.receive({
    type: 'open',
    request: { ...open, count: 5, samples, sampling: { ...sampling, maxTokens: 40 } },
  });
  const rows = new Map<number, number>();
  for (let turn = 0; turn < 30; turn++) {
    const batch = whole.machine.next();
    if (batch === undefined) throw new Error('nothing to do');
    whole.machine.computed(batch, whole.device.run(batch));
    if (batch.kind === 'decode') for (const [stream] of batch.rows) rows.set(stream, (rows.get(stream) ?? 0) + 1);
  }
  const counts = samples.map(({ stream }) => rows.get(stream) ?? 0);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});
