import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { createStopFilter } from './stop-texts.ts';

/** What is shown of a text that comes in these pieces, and whether it was stopped. */
function shown(stops: readonly string[], pieces: readonly string[]): [string, boolean] {
  const filter = createStopFilter(stops);
  let text = '';
  for (const piece of pieces) {
    const one = filter.push(piece);
    text += one.text;
    if (one.stopped) return [text, true];
  }
  return [text + filter.end(), false];
}

describe('texts that end an answer', () => {
  test.each([
    ['inside one piece', ['stop'], ['go on', ' stop it'], 'go on ', true],
    ['across pieces', ['STOP'], ['a S', 'T', 'OP b'], 'a ', true],
    ['the earliest of several', ['zz', 'b'], ['ab', 'zz'], 'a', true],
    ['one that begins and does not go on', ['\n\n'], ['a\n', 'b\n'], 'a\nb\n', false],
    ['a beginning inside a beginning', ['aab'], ['aa', 'ab'], 'a', true],
    ['none', [], ['a', 'b'], 'ab', false],
    ['an empty one, which ends nothing', [''], ['a', 'b'], 'ab', false],
  ])('%s', (_, stops, pieces, text, stopped) => {
    expect(shown(stops, pieces)).toEqual([text, stopped]);
  });

  test('however a text is cut, what is shown is all before the first stop', () => {
    const random = createRandom(7);
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: 30 }, () => 'ab\n'[random.below(3)]).join('');
      const stops = ['ab\na', '\n\n\n', 'bbb'].slice(0, 1 + random.below(3));
      const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
      const expected = places.length === 0 ? text : text.slice(0, Math.min(...places));
      const pieces: string[] = [];
      for (let start = 0; start < text.length;) {
        const length = 1 + random.below(5);
        pieces.push(text.slice(start, start + length));
        start += length;
      }
      expect(shown(stops, pieces), JSON.stringify({ round, text, stops, pieces })).toEqual([
        expected,
        places.length > 0,
      ]);
    }
  });

  test('nothing is held back that cannot begin a stop', () => {
    expect(createStopFilter(['xyz']).push('hello')).toEqual({ text: 'hello', stopped: false });
    expect(createStopFilter(['xyz']).push('hello xy')).toEqual({ text: 'hello ', stopped: false });
  });
});
