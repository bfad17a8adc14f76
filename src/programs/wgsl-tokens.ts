/**
 * WGSL cut into tokens with their places, as the specification (W3C WGSL, section 3) cuts it: nested block comments,
 * line comments, numbers, identifiers of any script. The rewriter's safety hangs on seeing exactly the loops that the
 * compiler sees, and its messages on places, which the parsers at hand do not give; so this is our own, and characters
 * that compilers might read in two ways are refused. Angle brackets are always tokens of one character, so that the
 * templates of types can be told by the reader.
 */

import { ok, problem, type Result } from '../core/result.ts';

export interface Token {
  readonly kind: 'word' | 'number' | 'sign';
  readonly text: string;
  /** Where it begins and ends in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/** Line breaks that an editor does not show as such: a comment might end there for one compiler and not for another. */
const doubtful = /[\0\v\f\u0085\u200E\u200F\u2028\u2029]/;
const blank = /[ \t\r\n]+/y;
const lineComment = /\/\/[^\r\n]*/y;
const word = /[\p{XID_Start}_]\p{XID_Continue}*/uy;
const number = /(?:0[xX](?:[\da-fA-F.]|[pP][+-]?)+|(?:\d|\.\d)(?:\d|\.|[eE][+-]?\d)*)[iufh]?/y;
const sign = /->|\+\+|--|&&|\|\||==|!=|[-+*/%&|^]=|[-+*/%&|^!~=<>()[\]{}.,:;@]/y;

/** The tokens in order, or the first place that is no WGSL. */
export function tokensOf(text: string, file: string): Result<readonly Token[]> {
  const odd = doubtful.exec(text);
  if (odd !== null) {
    const code = (odd[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return problem('wgsl', `${placeOf(text, odd.index, file)}: the character U+${code} is not allowed in a shader`);
  }
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  while (at < text.length) {
    if (take(blank) !== undefined || take(lineComment) !== undefined) continue;
    const start = at;
    if (text.startsWith('/*', at)) {
      const end = commentEnd(text, at);
      if (end === undefined) return problem('wgsl', `${placeOf(text, at, file)}: this comment has no end`);
      at = end;
      continue;
    }
    const wordText = take(word);
    const numberText = wordText === undefined ? take(number) : undefined;
    const found = wordText ?? numberText ?? take(sign);
    if (found === undefined) {
      const shown = String.fromCodePoint(text.codePointAt(at) ?? 0);
      return problem('wgsl', `${placeOf(text, at, file)}: ${JSON.stringify(shown)} is no WGSL`);
    }
    const kind = wordText !== undefined ? 'word' : numberText !== undefined ? 'number' : 'sign';
    tokens.push({ kind, text: found, start, end: at });
  }
  return ok(tokens);
}

/** Block comments nest. */
function commentEnd(text: string, start: number): number | undefined {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start;
  let depth = 0;
  for (let found = edge.exec(text); found !== null; found = edge.exec(text)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return undefined;
}

/** `file:LINE:COLUMN`, both from 1, as compilers count. */
export function placeOf(text: string, index: number, file: string): string {
  const lines = text.slice(0, index).split(/\r\n|\r|\n/);
  return `${file}:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
}
