import { describe, expect, test } from 'vitest';
import { plotLosses, type LossPoint } from './loss-plot.ts';

const points: readonly LossPoint[] = [1, 2, 3].map((round) => ({
  round,
  step: round * 50,
  trainLoss: 4 - round * 0.5,
  validationLoss: round === 2 ? null : 4.25 - round * 0.5,
}));
/** Tags that are opened and closed again, so that a browser takes the text as XML. */
function isBalanced(svg: string): boolean {
  const open: string[] = [];
  for (const [, closing, name, rest] of svg.matchAll(/<(\/?)([a-zA-Z]+)((?:[^<>"]|"[^"<]*")*)>/g)) {
    if (closing === '/') {
      if (open.pop() !== name) return false;
    } else if (rest?.endsWith('/') !== true) open.push(name ?? '');
  }
  return open.length === 0 && svg.replaceAll(/<(?:[^<>"]|"[^"<]*")*>/g, '').match(/[<>]/) === null;
}

describe('the loss plot', () => {
  test('is an SVG with both losses, the steps and the bigram line', () => {
    const svg = plotLosses({ title: 'small shakespeare', points, bigramLoss: 2.625 });
    expect(svg.startsWith('<svg ')).toBe(true);
    expect(isBalanced(svg)).toBe(true);
    for (const text of ['small shakespeare', 'training', 'validation', 'bigram table 2.625', '150'])
      expect(svg).toContain(text);
  });

  test('leaves out the bigram line where there is none', () => {
    expect(plotLosses({ title: 'x', points, bigramLoss: null })).not.toContain('bigram');
  });

  test('takes a name with marks of its own and a run without a single round', () => {
    const svg = plotLosses({ title: 'a < b & "c"', points: [], bigramLoss: null });
    expect(isBalanced(svg)).toBe(true);
    expect(svg).toContain('a &lt; b &amp; ');
  });
});
