/**
 * What a shader is made of, as far as the rewriter must know: functions with their parameters, attributes and loops, who
 * calls whom, structs, aliases and constants. Reads tokens only; whether the statements between are right is the
 * compiler's to say. Whatever does not have this shape is refused with its place.
 */

import { ok, problem, type Problem, type Result } from '../core/result.ts';
import { placeOf, tokensOf, type Token } from './wgsl-tokens.ts';

/** From a token up to and without another, by their numbers. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Attribute {
  readonly name: string;
  /** Between the brackets; empty without any. */
  readonly inside: Span;
}

export interface Field {
  readonly name: string;
  /** Number of the name's token. */
  readonly at: number;
  readonly attributes: readonly Attribute[];
  readonly type: Span;
}

export interface LoopNode {
  readonly kind: 'for' | 'while' | 'loop';
  /** Number of the keyword's token, and of the brace that opens the body. */
  readonly at: number;
  readonly open: number;
  readonly close: number;
  /** Between the brackets of `for`; empty for others. */
  readonly header: Span;
  readonly loops: readonly LoopNode[];
  readonly calls: readonly Call[];
}

export interface Call {
  readonly callee: string;
  /** Number of the name's token; a bracket follows. */
  readonly at: number;
}

export interface FunctionNode {
  readonly name: string;
  readonly at: number;
  readonly attributes: readonly Attribute[];
  readonly attributeSpan: Span;
  readonly parameters: readonly Field[];
  /** Number of the bracket that opens the parameters. */
  readonly parametersOpen: number;
  /** Without its attributes; absent where nothing is returned. */
  readonly returns: Span | undefined;
  readonly open: number;
  readonly close: number;
  /** Outermost loops, and the calls outside of loops. */
  readonly loops: readonly LoopNode[];
  readonly calls: readonly Call[];
}

export interface ShaderNode {
  readonly text: string;
  readonly file: string;
  readonly tokens: readonly Token[];
  readonly functions: ReadonlyMap<string, FunctionNode>;
  readonly structs: ReadonlyMap<string, readonly Field[]>;
  /** Every name that the module declares, with the number of its token. */
  readonly names: ReadonlyMap<string, number>;
  /** What `alias` calls another single word. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Module constants that are one whole number. */
  readonly constants: ReadonlyMap<string, number>;
}

class ShapeError extends Error {}

/** The shader's parts, or one line with the place of what has no such shape. */
export function readShader(text: string, file = 'shader.wgsl'): Result<ShaderNode> {
  const tokens = tokensOf(text, file);
  if (!tokens.ok) return tokens;
  try {
    return ok(new Reader(text, file, tokens.value).read());
  } catch (error) {
    if (error instanceof ShapeError) return problem('wgsl', error.message);
    throw error;
  }
}

/** A problem at a token. */
export const problemAt = (
  { text, file, tokens }: Pick<ShaderNode, 'text' | 'file' | 'tokens'>,
  at: number,
  says: string,
): { readonly ok: false; readonly error: Problem } =>
  problem('wgsl', `${placeOf(text, tokens[at]?.start ?? text.length, file)}: ${says}`);

const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}', '<': '>' };
const skipped = new Set(['enable', 'requires', 'diagnostic', 'const_assert', 'var', 'override']);

const namers = new Set(['fn', 'struct', 'alias', 'const', 'var', 'override']);
/** Deeper than anybody writes; keeps a shader of nothing but loops from exhausting the stack. */
const nestingMax = 64;

class Reader {
  private readonly text: string;
  private readonly file: string;
  private readonly tokens: readonly Token[];
  private readonly functions = new Map<string, FunctionNode>();
  private readonly structs = new Map<string, readonly Field[]>();
  private readonly names = new Map<string, number>();
  private readonly aliases = new Map<string, string>();
  private readonly constants = new Map<string, number>();
  private readonly functionNames: ReadonlySet<string>;
  private at = 0;
  private depth = 0;

  constructor(text: string, file: string, tokens: readonly Token[]) {
    this.text = text;
    this.file = file;
    this.tokens = tokens;
    this.functionNames = new Set(tokens.filter((_, at) => this.is(at - 1, 'fn')).map((token) => token.text));
  }

  read(): ShaderNode {
    while (this.at < this.tokens.length) this.declaration();
    const { text, file, tokens, functions, structs, names, aliases, constants } = this;
    return { text, file, tokens, functions, structs, names, aliases, constants };
  }

  private declaration(): void {
    const from = this.at;
    const attributes = this.attributes();
    const attributeSpan = { from, to: this.at };
    const keyword = this.tokens[this.at]?.text ?? '';
    this.noteName(keyword);
    if (keyword === ';') this.at++;
    else if (keyword === 'fn') this.function(attributes, attributeSpan);
    else if (keyword === 'struct') this.struct();
    else if (keyword === 'alias' || keyword === 'const') this.named(keyword);
    else if (skipped.has(keyword)) this.at = this.statementEnd(this.at);
    else this.refuse(this.at, keyword === '' ? 'the shader ends too early' : `${keyword} begins no declaration`);
  }

  private noteName(keyword: string): void {
    const hasTemplate = keyword === 'var' && this.is(this.at + 1, '<');
    const at = hasTemplate ? this.match(this.at + 1) + 1 : this.at + 1;
    const token = this.tokens[at];
    if (namers.has(keyword) && token?.kind === 'word') this.names.set(token.text, at);
  }

  private named(keyword: 'alias' | 'const'): void {
    const end = this.statementEnd(this.at);
    const name = this.tokens[this.at + 1]?.text ?? '';
    const value = this.tokens[end - 2];
    // `const name = 5;` and `const name: u32 = 5;`; all else is a constant whose value is not known here.
    const sign = this.is(this.at + 2, ':') ? this.at + 4 : this.at + 2;
    if (this.is(sign, '=') && end === sign + 3 && value !== undefined) {
      const whole = wholeNumber(value);
      if (keyword === 'alias' && value.kind === 'word') this.aliases.set(name, value.text);
      if (keyword === 'const' && whole !== undefined) this.constants.set(name, whole);
    }
    this.at = end;
  }

  private struct(): void {
    const name = this.word(this.at + 1);
    const open = this.expect(this.at + 2, '{');
    const close = this.match(open);
    this.structs.set(name, this.fields(open, close));
    this.at = close + 1;
  }

  private function(attributes: readonly Attribute[], attributeSpan: Span): void {
    const at = this.at + 1;
    const name = this.word(at);
    const parametersOpen = this.expect(at + 1, '(');
    const parametersClose = this.match(parametersOpen);
    const parameters = this.fields(parametersOpen, parametersClose);
    this.at = parametersClose + 1;
    const returns = this.is(this.at, '->') ? this.returnType() : undefined;
    const open = this.bodyOpen(this.at);
    const close = this.match(open);
    const { loops, calls } = this.body(open, close);
    if (this.functions.has(name)) this.refuse(at, `the function ${name} is declared twice`);
    const node = {
      name,
      at,
      attributes,
      attributeSpan,
      parameters,
      parametersOpen,
      returns,
      open,
      close,
      loops,
      calls,
    };
    this.functions.set(name, node);
    this.at = close + 1;
  }

  private returnType(): Span {
    this.at++;
    this.attributes();
    const from = this.at;
    while (this.at < this.tokens.length && !this.is(this.at, '{') && !this.is(this.at, '@')) this.at++;
    return { from, to: this.at };
  }

  /** Names with types, apart by commas: parameters or members. */
  private fields(open: number, close: number): Field[] {
    const fields: Field[] = [];
    this.at = open + 1;
    while (this.at < close) {
      const attributes = this.attributes();
      const at = this.at;
      const name = this.word(at);
      const from = this.expect(at + 1, ':') + 1;
      this.at = from;
      while (this.at < close && !this.is(this.at, ',')) {
        this.at = '([<'.includes(this.tokens[this.at]?.text ?? ' ') ? this.match(this.at) + 1 : this.at + 1;
      }
      fields.push({ name, at, attributes, type: { from, to: this.at } });
      if (this.at < close) this.at++;
    }
    return fields;
  }

  private attributes(): Attribute[] {
    const found: Attribute[] = [];
    while (this.is(this.at, '@')) {
      const name = this.word(this.at + 1);
      this.at += 2;
      let inside = { from: this.at, to: this.at };
      if (this.is(this.at, '(')) {
        const close = this.match(this.at);
        inside = { from: this.at + 1, to: close };
        this.at = close + 1;
      }
      found.push({ name, inside });
    }
    return found;
  }

  /** Loops, with what is in them, and calls between two braces. */
  private body(open: number, close: number): { loops: LoopNode[]; calls: Call[] } {
    const loops: LoopNode[] = [];
    const calls: Call[] = [];
    let at = open + 1;
    while (at < close) {
      const text = this.tokens[at]?.text ?? '';
      if (text === 'fn' || text === 'struct') this.refuse(at, `${text} cannot stand inside a function`);
      if (text === 'for' || text === 'while' || text === 'loop') {
        const loop = this.loop(text, at);
        if (loop.close > close) this.refuse(at, `this ${text} does not end in its block`);
        loops.push(loop);
        at = loop.close + 1;
        continue;
      }
      if (this.functionNames.has(text) && this.is(at + 1, '(')) calls.push({ callee: text, at });
      at++;
    }
    return { loops, calls };
  }

  private loop(kind: LoopNode['kind'], at: number): LoopNode {
    if (++this.depth > nestingMax) this.refuse(at, `loops are nested deeper than ${nestingMax}`);
    let header = { from: at + 1, to: at + 1 };
    let afterHeader = at + 1;
    if (kind === 'for') {
      const open = this.expect(at + 1, '(');
      const close = this.match(open);
      header = { from: open + 1, to: close };
      afterHeader = close + 1;
    }
    const open = this.bodyOpen(afterHeader);
    const close = this.match(open);
    const { loops, calls } = this.body(open, close);
    // Conditions and what follows each round may call functions too.
    const between = this.body(at, open);
    this.depth--;
    if (between.loops.length > 0) this.refuse(at, `this ${kind} has no body`);
    return { kind, at, open, close, header, loops, calls: [...between.calls, ...calls] };
  }

  /** The brace of a body: expressions and attributes before it have none. */
  private bodyOpen(from: number): number {
    for (let at = from; at < this.tokens.length; at++) {
      if (this.is(at, '{')) return at;
      if (this.is(at, ';') || this.is(at, '}')) break;
    }
    return this.refuse(from, 'a { is missing');
  }

  private statementEnd(from: number): number {
    for (let at = from; at < this.tokens.length; at++) {
      const text = this.tokens[at]?.text ?? '';
      if (text === ';') return at + 1;
      if (text === '{' || text === '}') return this.refuse(at, 'a ; is missing before this');
      if (text === '(' || text === '[') at = this.match(at);
    }
    return this.refuse(from, 'a ; is missing at the end of this');
  }

  /** The closing bracket of the one here. Comparisons look like templates, so those are matched only where types stand. */
  private match(open: number): number {
    const first = this.tokens[open]?.text ?? '';
    const wanted: string[] = [];
    for (let at = open; at < this.tokens.length; at++) {
      const text = this.tokens[at]?.text ?? '';
      if (text === '<' && first !== '<') continue;
      if (text === '>' && first !== '<') continue;
      const closer = closers[text];
      if (closer !== undefined) wanted.push(closer);
      else if (text === ')' || text === ']' || text === '}' || text === '>') {
        if (wanted.pop() !== text) this.refuse(at, `this ${text} closes nothing that is open`);
        if (wanted.length === 0) return at;
      }
    }
    return this.refuse(open, `this ${first} is never closed`);
  }

  private is(at: number, text: string): boolean {
    return this.tokens[at]?.text === text;
  }

  private word(at: number): string {
    const token = this.tokens[at];
    return token?.kind === 'word' ? token.text : this.refuse(at, 'a name is missing here');
  }

  private expect(at: number, text: string): number {
    return this.is(at, text) ? at : this.refuse(at, `a ${text} is missing here`);
  }

  private refuse(at: number, says: string): never {
    throw new ShapeError(placeOf(this.text, this.tokens[at]?.start ?? this.text.length, this.file) + `: ${says}`);
  }
}

/** The value of a whole decimal or hexadecimal number of at most 32 bits. */
export function wholeNumber({ kind, text }: Token): number | undefined {
  if (kind !== 'number' || !/^(?:\d+|0[xX][\da-fA-F]+)[iu]?$/.test(text)) return undefined;
  const value = Number(text.replace(/[iu]$/, ''));
  return value <= 0xffffffff ? value : undefined;
}
