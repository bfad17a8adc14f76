import { describe, expect, test } from 'vitest';
import { utf8 } from '../core/bytes.ts';
import { expectInput } from '../core/result.ts';
import { byteTokenizer, type Tokenizer } from '../models/tokenizer.ts';
import { encodeTokenizerBundle } from '../models/tokenizer-bundle.ts';
import { answerText, encodeChat, readModelText, type TextEvent, type TextRequest } from './text-answer.ts';
import { createToyAnswering, toyJob, toyModel } from './toy-answering.fixture.ts';

const request: TextRequest = {
  promptTokens: [65],
  firstSample: 0,
  samples: 1,
  maxTokens: 50,
  temperature: 1,
  topP: 1,
  topK: 0,
  seed: 1,
  topLogprobs: 0,
  stop: [],
};

/** Says these bytes, each sample its own text. */
const saying = (...texts: readonly string[]) =>
  createToyAnswering({
    models: [toyModel('toy')],
    next: (_, sample, place) => utf8(texts[sample] ?? '')[place],
  });

interface Told {
  readonly texts: readonly string[];
  readonly tokens: readonly (readonly number[])[];
  readonly reasons: Readonly<Record<number, string>>;
  readonly drawn: number;
}

async function tell(events: AsyncIterable<TextEvent>): Promise<Told> {
  const texts: string[] = [];
  const tokens: number[][] = [];
  const reasons: Record<number, string> = {};
  let drawn = 0;
  for await (const event of events) {
    if (event.type === 'text') {
      texts[event.sample] = (texts[event.sample] ?? '') + event.text;
      (tokens[event.sample] ??= []).push(...event.tokens.map(({ token }) => token));
    } else if (event.type === 'finished') reasons[event.sample] = event.reason;
    else drawn = event.tokens;
  }
  return { texts, tokens, reasons, drawn };
}

const model = { job: toyJob, tokenizer: byteTokenizer };

describe('an answer as text', () => {
  test('is what its tokens say, characters that span tokens included', async () => {
    const told = await tell(answerText(saying('héllo €'), model, request));
    expect(told).toEqual({ texts: ['héllo €'], tokens: [[...utf8('héllo €')]], reasons: { 0: 'stop' }, drawn: 10 });
  });

  test('ends at its length, also in the middle of a character', async () => {
    const told = await tell(answerText(saying('ab€'), model, { ...request, maxTokens: 3 }));
    expect(told).toMatchObject({ texts: ['ab\uFFFD'], reasons: { 0: 'length' }, drawn: 3 });
  });

  test('stops at a text that spans tokens, tells the model so, and shows neither it nor what it began', async () => {
    const answering = saying('one two three');
    const told = await tell(answerText(answering, model, { ...request, stop: [' two'] }));
    expect(told).toEqual({ texts: ['one'], tokens: [[...utf8('one')]], reasons: { 0: 'stop' }, drawn: 7 });
    expect(answering.stopped).toEqual([0]);
    expect(answering.ends).toEqual(['done']);
  });

  test('of several samples those that stopped wait for nobody, and the others go on', async () => {
    const answering = saying('a.b', 'abcdef', '.');
    const told = await tell(answerText(answering, model, { ...request, samples: 3, stop: ['.'] }));
    expect(told.texts).toEqual(['a', 'abcdef']);
    expect(told.reasons).toEqual({ 0: 'stop', 1: 'stop', 2: 'stop' });
    expect(answering.stopped).toEqual([2, 0]);
  });

  test('what could begin a stop text is shown in the end where it does not go on', async () => {
    const told = await tell(answerText(saying('ab tw'), model, { ...request, stop: ['two'] }));
    expect(told).toMatchObject({ texts: ['ab tw'], tokens: [[...utf8('ab tw')]], reasons: { 0: 'stop' } });
  });

  test('that nobody reads on is left', async () => {
    const answering = saying('abc');
    for await (const event of answerText(answering, model, request)) if (event.type === 'text') break;
    expect(answering.ends).toEqual(['left']);
  });
});

describe('a chat as a prompt', () => {
  const messages = [{ role: 'user', content: 'hi' }];
  const withStart: Tokenizer = {
    ...byteTokenizer,
    start: 1,
    encode: (text, { addSpecial = true } = {}) => [...(addSpecial ? [1] : []), ...utf8(text)],
  };

  test("goes through the model's own template, which writes the start token where it wants one", () => {
    const chat = { text: '[{{ messages[0].content }}]', startText: '', endText: '' };
    const prompt = expectInput(encodeChat({ tokenizer: withStart, chat }, messages));
    expect(prompt).toEqual({ promptTokens: [...utf8('[hi]')], stop: [] });
  });

  test('without one is ChatML after the start token, and ends with a turn', () => {
    const chat = { text: undefined, startText: '', endText: '' };
    const prompt = expectInput(encodeChat({ tokenizer: withStart, chat }, messages));
    const text = '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n';
    expect(prompt).toEqual({ promptTokens: [1, ...utf8(text)], stop: ['<|im_end|>'] });
  });

  test.each([
    ['not a list', 'hi', 'messages: expected a list'],
    ['of a tool', [{ role: 'tool', content: 'x' }], 'messages.0: tools are not supported'],
    ['with half a character', [{ role: 'user', content: '\ud83d' }], 'half a character'],
  ])('%s is refused in one line', (_, wrong, line) => {
    const chat = { text: undefined, startText: '', endText: '' };
    const encoded = encodeChat({ tokenizer: byteTokenizer, chat }, wrong);
    expect(encoded.ok ? 'taken' : encoded.error.text).toContain(line);
  });
});

test("a served model's tokenizer is read through the swarm, and refused where it is another model's", async () => {
  const bundle = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 256, source: { kind: 'bytes' } }));
  const { tokenizer } = await readModelText(toyModel('toy'), async () => bundle);
  expect(tokenizer.encode('a')).toEqual([97]);
  const other = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 300, source: { kind: 'bytes' } }));
  await expect(readModelText(toyModel('toy'), async () => other)).rejects.toThrow(
    /^model toy: its tokenizer: made for 300/,
  );
});
