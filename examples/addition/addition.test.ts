/**
 * The addition task: lines and problems are what they say, both verifiers agree with arithmetic, and, where there is a GPU
 * (TABSWARM_NODE_GPU=1), so does the shader.
 */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256Large } from '../../src/adapters/crypto/sha256-large.ts';
import { openDevice, type OpenedDevice } from '../../src/adapters/gpu/device.ts';
import { createMemoryChunks } from '../../src/adapters/store/memory-chunks.ts';
import { createChunkExchange } from '../../src/assembly/chunk-exchange.ts';
import { prepareShaderJob } from '../../src/assembly/job.ts';
import type { AccountId } from '../../src/core/ids.ts';
import { expectInput } from '../../src/core/result.ts';
import { openNodeGpu } from '../../src/node/open-gpu.ts';
import { readProblems } from '../../src/node/problem-file.ts';
import { openScorer, sampleWords } from '../../src/node/scorer.ts';
import { openShaderProgram } from '../../src/programs/shader.ts';
import { parseJobFile } from '../../src/protocol/job-file.ts';
import checkSum from './check-sum.mjs';
import { answerOf, lineOf, makeLines, makeProblems, questionOf, thoughtOf } from './make-data.mjs';

const folder = new URL('./', import.meta.url);

describe('the lines', () => {
  test('show the question by columns, the working, and the answer', () => {
    expect(questionOf(357, 468)).toBe('78 56 34:');
    expect(thoughtOf(357, 468, 3)).toBe('15 12 08');
    expect(thoughtOf(357, 468, 1)).toBe('15');
    expect(lineOf(999, 999, 3)).toBe('99 99 99:18 19 19=1998\n');
    expect(lineOf(100, 200, 0)).toBe('00 00 12:=0300\n');
    expect(answerOf(100, 200)).toBe('0300');
  });

  test('have thoughts of every length and none of the problems; the same seed writes the same', () => {
    const problems = makeProblems();
    expect(new Set(problems.map(({ prompt }) => prompt)).size).toBe(100);
    const lines = makeLines(5000).trimEnd().split('\n');
    expect(new Set(lines.map((line) => line.indexOf('=') - line.indexOf(':'))).size).toBe(4);
    for (const line of lines) expect(checkSum({ prompt: line.slice(0, 9) }, line.slice(9))).toBe(true);
    const asked = new Set(problems.map(({ prompt }) => prompt));
    expect(lines.filter((line) => asked.has(line.slice(0, 9)))).toEqual([]);
    // Were they not left out, some of so many would be among them.
    expect(
      makeLines(60_000, 5, [])
        .split('\n')
        .some((line) => asked.has(line.slice(0, 9))),
    ).toBe(true);
    expect(makeLines(50)).toBe(makeLines(50));
  });

  test('leave problems beside them as they are in the file', async () => {
    expect(await readProblems(fileURLToPath(new URL('problems.jsonl', folder)))).toEqual(makeProblems());
  });
});

/** Texts after the question of 357 + 468, and whether they end in its sum. */
const texts: readonly (readonly [string, boolean])[] = [
  ['=0825', true],
  ['15 12 08=0825', true],
  ['15 12 08=0825\n', true],
  ['=0826', false],
  ['=825', false],
  ['0825', false],
  ['15 12 08', false],
  ['', false],
  ['=0825=0835', false],
];

describe('the verifiers', () => {
  test('in JavaScript says what is right', async () => {
    const scorer = await openScorer(fileURLToPath(new URL('check-sum.mjs', folder)));
    for (const [text, right] of texts) expect(checkSum({ prompt: '78 56 34:' }, text), text).toBe(right);
    for (const { prompt, answer } of makeProblems())
      expect(checkSum({ prompt }, `=${answer.padStart(4, '0')}`)).toBe(true);
    await scorer.close();
  });

  test('as a shader job is one that --verifier takes', async () => {
    await expect(openScorer(fileURLToPath(new URL('check-sum.json', folder)))).resolves.toBeDefined();
  });
});

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('on a GPU', () => {
  let opened: OpenedDevice;
  beforeAll(async () => {
    opened = await openDevice(await openNodeGpu());
  });
  afterAll(() => opened.close());

  test('the shader says the same as the function', async () => {
    const answers = texts.map(([text]) => text.trimEnd());
    const sample = answers.map((text) => sampleWords([...Buffer.from('78 56 34:')], [...Buffer.from(text)]));
    const job = JSON.parse(await readFile(new URL('check-sum.json', folder), 'utf8')) as object;
    const file = expectInput(parseJobFile({ ...job, units: { each: { sample } } }, 'check-sum.json'));
    if (file.program !== 'shader') throw new Error('check-sum.json is no shader job');
    const { manifest, chunks } = await prepareShaderJob(file, (name) => readFile(new URL(name, folder)), {
      submitter: '0'.repeat(64) as AccountId,
      nonce: '0'.repeat(32),
      now: 0,
      digest: sha256Large,
    });
    const store = createMemoryChunks({ digestBytes: sha256Large });
    for (const [digest, bytes] of chunks) await store.put(digest, bytes);
    const program = await openShaderProgram(manifest, opened.device, createChunkExchange(store));
    for (const [unit, text] of answers.entries()) {
      const bytes = await program.run({ unit, signal: new AbortController().signal, progress: () => {} });
      expect(new Float32Array(bytes.slice().buffer)[0], text).toBe(texts[unit]?.[1] === true ? 1 : 0);
    }
    program.close();
  });
});
