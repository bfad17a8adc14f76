/** What the rewriter changes in a text and what it refuses; that results stay the same is the corpus's part. */

import { describe, expect, test } from 'vitest';
import { rewriteShader, type RewrittenShader, type RewriteOptions } from './shader-rewrite.ts';
import { tokensOf } from './wgsl-tokens.ts';

const compute = ['@compute', '@workgroup_size(64)'].join(' ');
const rewrite = (wgsl: string, options: Partial<RewriteOptions> = {}): RewrittenShader => {
  const result = rewriteShader(wgsl, { bindings: [0, 1], file: 'a.wgsl', ...options });
  if (!result.ok) throw new Error(result.error.text);
  return result.value;
};
const refusal = (wgsl: string): string => {
  const result = rewriteShader(wgsl, { bindings: [0], file: 'a.wgsl' });
  return result.ok ? 'accepted' : result.error.text;
};
const main = (body: string, before = ''): string => `${before}${compute} fn main() {\n${body}\n}`;
const loopsOf = (body: string, before = ''): number => rewrite(main(body, before)).loops.length;

describe('loops', () => {
  test('between small constants go free, and everything else has a budget', () => {
    const free = [
      'for (var i = 0; i < 16; i++) {}',
      'for (var i = 0u; i <= N; i += 2u) {}',
      'for (var i: i32 = 9; i > 0; i--) {}',
      'for (var i = 0; i < 64; i++) { for (var j = 0; j < 60; j++) {} }',
    ];
    for (const body of free) expect(loopsOf(body, 'const N = 200u;\n'), body).toBe(0);
    const budgeted = [
      'for (var i = 0; i < 300; i++) {}',
      'for (var i = 0; i < M; i++) {}',
      'for (var i = 0; i < 16; i++) { i -= 1; }',
      'for (var i = 0; i < 16; i++) { (i) = 3; }',
      'for (var i = 0; i < 16; i++) { let p = &(i); *p = 0; }',
      'for (var i = 0; i < 16; i++) { i >>= 1; }',
      'for (var i = 8u; i > 0u; i -= 3u) {}',
      'for (var i = 8u; i >= 0u; i--) {}',
      'for (var i = 0; i < 16; i--) {}',
      'for (var i = 0; i < 16; ) {}',
      'let N = 4000000000u; for (var i = 0u; i < N; i++) {}',
      'while (true) {}',
      'loop {}',
    ];
    for (const body of budgeted) expect(loopsOf(body, 'override M = 8; const N = 200u;\n'), body).toBe(1);
    // About 4096 free rounds and calls inside one another, not more; the outer loop is the one that gets the budget.
    const deep = main('for (var i = 0; i < 64; i++) { for (var j = 0; j < 64; j++) {} }');
    expect(rewrite(deep).loops).toEqual(['a.wgsl:2:1']);
    expect(rewrite(main('for (var i = 0; i < 16; i++) {}'), { everyLoop: true }).loops).toHaveLength(1);
  });

  test('are found wherever the compiler finds them, and nowhere else', () => {
    expect(loopsOf('/* loop {} /* nested */ while (true) {} */ // for (;;) {}\nlet forward = 1;')).toBe(0);
    expect(loopsOf('/* // */ loop {}')).toBe(1);
    expect(loopsOf('// */ loop {}\r\nloop {}')).toBe(1);
    expect(loopsOf('// comment\rloop {}')).toBe(1);
    expect(rewrite(main('if (a) {\n  loop { while (b) {} }\n}')).loops).toEqual(['a.wgsl:3:3', 'a.wgsl:3:10']);
  });

  test('share one counter, or have one each for every way of calls where barriers are near', () => {
    const calls = 'fn f() { loop {} loop {} }\nfn g() { f(); f(); }\n';
    expect(rewrite(main('g(); while (a) { f(); }', calls)).counters).toBe(1);
    const beside = rewrite(main('g(); while (a) { f(); } workgroupBarrier();', calls));
    expect(beside.counters).toBe(1 + 2 * 3);
    expect(beside.wgsl).toContain('fn g(tabswarm_left_0: ptr<function, u32>');
  });

  test('leave a function that they ended with something to return', () => {
    expect(rewrite(`fn f() -> vec2<u32> { loop { return vec2(1u); } }\n${main('')}`).wgsl).toContain(
      'var tabswarm_none: vec2<u32>; return tabswarm_none;',
    );
    expect(rewrite(`fn f() -> u32 { while (a) {} return 1u; }\n${main('')}`).wgsl).not.toContain('tabswarm_none');
  });
});

test('lines stay where they were, and our own come after the last', () => {
  const wgsl = `// first\n${main('  loop {\n    a();\n  }')}`;
  const lines = rewrite(wgsl).wgsl.split('\n');
  for (const [at, line] of wgsl.split('\n').entries()) {
    const words = line.split(/\W+/).filter((word) => word !== '');
    for (const word of words) expect(lines[at]).toContain(word);
  }
});

test('bindings of ours are none of the job and none that the text names', () => {
  const { sliceBinding, spentBinding } = rewrite(
    `@group(0) @binding(64) var<storage> a: u32; @group(0) @binding(0x42) var<storage> b: u32; ${main('loop {}')}`,
    { bindings: [0, 65] },
  );
  expect([sliceBinding, spentBinding]).toEqual([67, 68]);
  expect(rewrite(main('')).spentBinding).toBeUndefined();
});

test.each([
  [
    'a recursion',
    `fn f() { g(); }\nfn g() { f(); }\n${main('')}`,
    'a.wgsl:2:10: f calls itself, which WGSL does not allow; use a loop',
  ],
  ['a name of ours', main('let tabswarm_x = 1;'), "a.wgsl:2:5: names that begin with tabswarm_ are the network's own"],
  [
    'a name that our lines need',
    `alias u32 = f32;\n${main('')}`,
    'a.wgsl:1:7: u32 is a name of WGSL; call this something else',
  ],
  ['an open brace', `${compute} fn main() {\n  loop {`, 'a.wgsl:1:40: this { is never closed'],
  ['brackets that cross', main('a(];'), 'a.wgsl:2:3: this ] closes nothing that is open'],
  ['a loop without a body', main('while (a);'), 'a.wgsl:2:7: a { is missing'],
  ['a function in a function', main('fn f() {}'), 'a.wgsl:2:1: fn cannot stand inside a function'],
  ['no declaration', 'for (;;) {}', 'a.wgsl:1:1: for begins no declaration'],
  ['a function twice', 'fn f() {}\nfn f() {}', 'a.wgsl:2:4: the function f is declared twice'],
  ['an invisible line break', 'fn f() {} // \u2028', 'a.wgsl:1:14: the character U+2028 is not allowed in a shader'],
  ['what is no sign', 'fn f() { $ }', 'a.wgsl:1:10: "$" is no WGSL'],
  [
    'loops nested too deep',
    main('loop {'.repeat(65) + '}'.repeat(65)),
    'a.wgsl:2:385: loops are nested deeper than 64',
  ],
])('%s is refused with its place', (_, wgsl, text) => expect(refusal(wgsl)).toBe(text));

test('numbers, names and signs come apart as WGSL cuts them', () => {
  const texts = (wgsl: string): string[] => {
    const tokens = tokensOf(wgsl, 'a.wgsl');
    return tokens.ok ? tokens.value.map(({ text }) => text) : [tokens.error.text];
  };
  expect(texts('a.x+.5f-1e-3*0x1Fu>=0x1.8p4')).toEqual([
    'a',
    '.',
    'x',
    '+',
    '.5f',
    '-',
    '1e-3',
    '*',
    '0x1Fu',
    '>',
    '=',
    '0x1.8p4',
  ]);
  expect(texts('größe<<=array<u32,2>()')).toEqual([
    'größe',
    '<',
    '<',
    '=',
    'array',
    '<',
    'u32',
    ',',
    '2',
    '>',
    '(',
    ')',
  ]);
});
