/**
 * Rewrites a stranger's shader before it runs: loops get a budget of rounds, so that none runs for ever; and the number
 * of the workgroup gets an offset, so that a grid can be dispatched in slices. Everything else stays, and so do the line
 * numbers. Text in, text out: running it is `shader-run.ts`.
 *
 * Budgets. Without barriers or subgroups one private counter serves all loops of an invocation. With them the compiler's
 * uniformity analysis (WGSL, section 15.2) must still find what it found: a counter that is one variable for several
 * loops, or lives outside of functions, would make uniform loops look non-uniform. So there each loop has a variable of
 * its own in the entry point, once for each way of calls that leads to it, handed on by pointer.
 */

import { ok, problem, type Result } from '../core/result.ts';
import { boundLoops, type LoopBounds } from './loop-bounds.ts';
import { createEdits, type Edits } from './text-edits.ts';
import {
  problemAt,
  readShader,
  type Attribute,
  type Call,
  type Field,
  type FunctionNode,
  type LoopNode,
  type ShaderNode,
  type Span,
} from './wgsl-structure.ts';
import { placeOf } from './wgsl-tokens.ts';

export interface RewriteOptions {
  /** Name of the file in messages. */
  readonly file?: string;
  /** Bindings of group 0 that the job uses; others are taken for what the rewritten text needs. */
  readonly bindings: readonly number[];
  /** Gives a budget to loops with small constant bounds too, for devices that end loops by themselves. */
  readonly everyLoop?: boolean;
}

export interface RewrittenShader {
  readonly wgsl: string;
  /**
   * Uniform of three vec4u: the slice's first workgroup and the budget; the whole grid and 0; this dispatch's grid and 0.
   */
  readonly sliceBinding: number;
  /** Storage of one u32: 0, or one more than the index in `loops` of a loop whose budget was spent. Absent without loops. */
  readonly spentBinding: number | undefined;
  /** `file:LINE:COLUMN` of each loop with a budget. */
  readonly loops: readonly string[];
  /** Counters of one invocation, each of which starts at the budget. */
  readonly counters: number;
  /** There is but one loop, and an invocation enters it once. */
  readonly isOneLoop: boolean;
}

/** Every name of ours begins so, and a shader that uses such a name is refused. */
const prefix = 'tabswarm_';
/** What our lines use of WGSL's own names: a shader that gives them another meaning is refused. */
const relied = ['u32', 'vec3', 'vec4', 'array', 'atomic', 'ptr', 'atomicLoad', 'atomicStore'];
/** Counters that one entry point hands on; a shader with more ways of calls to its loops is refused. */
const countersMax = 200;
const collective = /^(?:workgroupBarrier|storageBarrier|textureBarrier|workgroupUniformLoad|subgroup\w+|quad[A-Z]\w*)$/;

/** The rewritten text, or one line with the place of what cannot be rewritten. */
export function rewriteShader(wgsl: string, options: RewriteOptions): Result<RewrittenShader> {
  const shader = readShader(wgsl, options.file);
  if (!shader.ok) return shader;
  const taken = shader.value.tokens.findIndex(({ text }) => text.startsWith(prefix));
  if (taken >= 0) return problemAt(shader.value, taken, `names that begin with ${prefix} are the network's own`);
  for (const name of relied) {
    const at = shader.value.names.get(name);
    if (at !== undefined) return problemAt(shader.value, at, `${name} is a name of WGSL; call this something else`);
  }
  const bounds = boundLoops(shader.value, options.everyLoop ?? false);
  if (!bounds.ok) return bounds;
  return new Rewriter(shader.value, bounds.value, options).rewrite();
}

class Rewriter {
  private readonly shader: ShaderNode;
  private readonly bounds: LoopBounds;
  private readonly edits: Edits;
  private readonly numbers: ReadonlyMap<LoopNode, number>;
  private readonly sliceBinding: number;
  private readonly spentBinding: number | undefined;
  /** Loops with barriers near them: a variable for each; otherwise one for all. */
  private readonly isCollective: boolean;
  private readonly counterCounts = new Map<FunctionNode, number>();
  private readonly tail: string[] = [];

  constructor(shader: ShaderNode, bounds: LoopBounds, { bindings }: RewriteOptions) {
    this.shader = shader;
    this.bounds = bounds;
    this.edits = createEdits(shader.text);
    this.numbers = new Map(bounds.budgeted.map((loop, index) => [loop, index + 1]));
    this.isCollective = shader.tokens.some(({ text }) => collective.test(text));
    const used = new Set(
      shader.tokens.filter(({ kind }) => kind === 'number').map(({ text }) => Number.parseInt(text)),
    );
    for (const binding of bindings) used.add(binding);
    const [first = 0, second] = freeNumbers(used);
    this.sliceBinding = first;
    this.spentBinding = bounds.budgeted.length > 0 ? second : undefined;
  }

  rewrite(): Result<RewrittenShader> {
    let counters = this.spentBinding === undefined ? 0 : 1;
    for (const node of this.shader.functions.values()) {
      const isEntry = node.attributes.some(({ name }) => name === 'compute');
      if (isEntry) {
        const refused = this.entryPoint(node);
        if (refused !== undefined) return refused;
        if (this.isCollective) counters = Math.max(counters, this.countersOf(node));
      }
      if (this.isCollective) this.handOn(node, isEntry);
      for (const loop of node.loops) this.loop(node, loop);
      this.returnAtEnd(node);
    }
    if (counters > countersMax) {
      return problem(
        'wgsl',
        `${this.shader.file}: its loops are reached by ${counters} ways of calls, at most ${countersMax} are allowed beside barriers; call functions with loops from fewer places`,
      );
    }
    const { text, file, tokens } = this.shader;
    return ok({
      wgsl: [this.edits.apply(), ...this.declarations(), ...this.tail, ''].join('\n'),
      sliceBinding: this.sliceBinding,
      spentBinding: this.spentBinding,
      loops: this.bounds.budgeted.map(({ at }) => placeOf(text, tokens[at]?.start ?? 0, file)),
      counters,
      isOneLoop: this.isOneLoop(),
    });
  }

  private isOneLoop(): boolean {
    const [first, second] = this.bounds.budgeted;
    if (first === undefined || second !== undefined) return false;
    return [...this.shader.functions.values()].some((node) => isEntryPoint(node) && node.loops.includes(first));
  }

  private declarations(): string[] {
    const lines = [`@group(0) @binding(${this.sliceBinding}) var<uniform> ${prefix}slice: array<vec4<u32>, 3>;`];
    if (this.spentBinding === undefined) return lines;
    lines.push(
      `@group(0) @binding(${this.spentBinding}) var<storage, read_write> ${prefix}spent: atomic<u32>;`,
      // The innermost loop tells first, and the others end because of it.
      `fn ${prefix}stop(number: u32) { if (atomicLoad(&${prefix}spent) == 0u) { atomicStore(&${prefix}spent, number); } }`,
    );
    if (!this.isCollective) lines.push(`var<private> ${prefix}left: u32;`);
    return lines;
  }

  // Loops

  private loop(node: FunctionNode, loop: LoopNode): void {
    const number = this.numbers.get(loop);
    if (number !== undefined) {
      const counter = this.counterOf(node, loop);
      // What a spent budget is told by stands behind the loop: a call inside makes tight loops twice as slow.
      this.edits.insert(this.endOf(loop.open), ` if (${counter} == 0u) { break; } ${counter} = ${counter} - 1u;`);
      this.edits.insert(this.endOf(loop.close), ` if (${counter} == 0u) { ${prefix}stop(${number}u); }`);
    }
    for (const inner of loop.loops) this.loop(node, inner);
  }

  private counterOf(node: FunctionNode, loop: LoopNode): string {
    if (!this.isCollective) return `${prefix}left`;
    const index = this.ownLoops(node).indexOf(loop);
    return isEntryPoint(node) ? `${prefix}left_${index}` : `(*${prefix}left_${index})`;
  }

  /** Loops of the function itself that have budgets. */
  private ownLoops(node: FunctionNode): LoopNode[] {
    return allLoops(node.loops).filter((loop) => this.numbers.has(loop));
  }

  /** Counters that a call of the function needs: for its own loops, then for each call in it. */
  private countersOf(node: FunctionNode): number {
    const known = this.counterCounts.get(node);
    if (known !== undefined) return known;
    const inside = allCalls(node).reduce((sum, { callee }) => sum + this.countersOfCallee(callee), 0);
    const count = Math.min(1e9, this.ownLoops(node).length + inside);
    this.counterCounts.set(node, count);
    return count;
  }

  private countersOfCallee(callee: string): number {
    const called = this.shader.functions.get(callee);
    return called === undefined ? 0 : this.countersOf(called);
  }

  /** Declares counters (an entry point) or takes them as parameters, and hands each call its own. */
  private handOn(node: FunctionNode, isEntry: boolean): void {
    const count = this.countersOf(node);
    if (count === 0 || count > countersMax) return;
    const names = Array.from({ length: count }, (_, index) => `${prefix}left_${index}`);
    if (isEntry) {
      const variables = names.map((name) => `var ${name} = ${prefix}slice[0].w;`);
      this.edits.insert(this.endOf(node.open), ` ${variables.join(' ')}`);
    } else {
      const parameters = names.map((name) => `${name}: ptr<function, u32>`).join(', ');
      this.edits.insert(this.endOf(node.parametersOpen), parameters + (node.parameters.length > 0 ? ', ' : ''));
    }
    let next = this.ownLoops(node).length;
    for (const { callee, at } of allCalls(node)) {
      const needed = this.countersOfCallee(callee);
      if (needed === 0) continue;
      const handed = names.slice(next, next + needed).map((name) => (isEntry ? `&${name}` : name));
      next += needed;
      const hasArguments = this.textAt(at + 2) !== ')';
      this.edits.insert(this.endOf(at + 1), handed.join(', ') + (hasArguments ? ', ' : ''));
    }
  }

  /** A loop that could only be left by `return` can be left by its budget now, and then something must be returned. */
  private returnAtEnd(node: FunctionNode): void {
    if (node.returns === undefined || this.ownLoops(node).length === 0 || this.endsInReturn(node)) return;
    const type = this.textOf(node.returns);
    const value = `var ${prefix}none: ${type}; return ${prefix}none;`;
    this.edits.insert(this.startOf(node.close), `{ ${value} } `);
  }

  private endsInReturn({ open, close }: FunctionNode): boolean {
    let depth = 0;
    let start = open + 1;
    for (let at = open + 1; at < close; at++) {
      const text = this.textAt(at);
      if ('([{'.includes(text)) depth++;
      if (')]}'.includes(text)) depth--;
      if (depth === 0 && (text === ';' || text === '}') && at + 1 < close) start = at + 1;
    }
    return this.textAt(start) === 'return';
  }

  // Slices

  private entryPoint(node: FunctionNode): ReturnType<typeof problemAt> | undefined {
    const lines: string[] = [];
    for (const parameter of node.parameters) {
      const builtin = builtinOf(this.shader, parameter.attributes);
      const fields = builtin === undefined ? this.structOf(parameter.type) : undefined;
      const shifted =
        builtin === undefined
          ? this.shiftedStruct(node, parameter, fields ?? [])
          : this.shifted(node, builtin, `${prefix}in_${parameter.name}`);
      if (builtin === 'global_invocation_index' || fields?.some((field) => this.isRefused(field)) === true) {
        return problemAt(
          this.shader,
          parameter.at,
          'global_invocation_index is not supported; use global_invocation_id',
        );
      }
      if (shifted === undefined) continue;
      this.edits.insert(this.startOf(parameter.at), `${prefix}in_`);
      lines.push(`let ${parameter.name} = ${shifted};`);
    }
    if (this.spentBinding !== undefined && !this.isCollective) lines.push(`${prefix}left = ${prefix}slice[0].w;`);
    if (lines.length > 0) this.edits.insert(this.endOf(node.open), ` ${lines.join(' ')}`);
    return undefined;
  }

  private isRefused({ attributes }: Field): boolean {
    return builtinOf(this.shader, attributes) === 'global_invocation_index';
  }

  /** What a builtin would be in the whole grid, or undefined where it is that already. */
  private shifted(node: FunctionNode, builtin: string, value: string): string | undefined {
    switch (builtin) {
      case 'workgroup_id':
        return `${value} + ${prefix}slice[0].xyz`;
      case 'global_invocation_id':
        return `${value} + ${prefix}slice[0].xyz * ${this.workgroupSize(node)}`;
      case 'num_workgroups':
        return `${prefix}slice[1].xyz`;
      case 'workgroup_index':
        return this.shiftedIndex(value);
      default:
        return undefined;
    }
  }

  private shiftedStruct(node: FunctionNode, { name, type }: Field, fields: readonly Field[]): string | undefined {
    let isShifted = false;
    const values = fields.map((field) => {
      const value = `${prefix}in_${name}.${field.name}`;
      const shifted = this.shifted(node, builtinOf(this.shader, field.attributes) ?? '', value);
      if (shifted !== undefined) isShifted = true;
      return shifted ?? value;
    });
    return isShifted ? `${this.textOf(type)}(${values.join(', ')})` : undefined;
  }

  /** A function with the workgroup's size, as its expressions belong to the module and not to the entry point's body. */
  private workgroupSize(node: FunctionNode): string {
    const name = `${prefix}size_${node.name}`;
    const attribute = node.attributes.find((candidate) => candidate.name === 'workgroup_size');
    const sizes = attribute === undefined ? [] : this.splitAtCommas(attribute.inside);
    const [x = '1', y = '1', z = '1'] = sizes;
    const line = `fn ${name}() -> vec3<u32> { return vec3<u32>(u32(${x}), u32(${y}), u32(${z})); }`;
    if (!this.tail.includes(line)) this.tail.push(line);
    return `${name}()`;
  }

  private shiftedIndex(value: string): string {
    const [offset, whole, own] = [0, 1, 2].map((row) => `${prefix}slice[${row}]`);
    const line =
      `fn ${prefix}index(i: u32) -> u32 { let x = ${own}.x; let y = ${own}.y; ` +
      `let p = ${offset}.xyz + vec3<u32>(i % x, (i / x) % y, i / (x * y)); ` +
      `return p.x + ${whole}.x * (p.y + ${whole}.y * p.z); }`;
    if (!this.tail.includes(line)) this.tail.push(line);
    return `${prefix}index(${value})`;
  }

  private structOf(type: Span): readonly Field[] | undefined {
    let name = type.to - type.from === 1 ? this.textAt(type.from) : '';
    // Aliases of aliases; as many steps as there are, in case they go in a circle.
    for (let step = 0; step < this.shader.aliases.size; step++) name = this.shader.aliases.get(name) ?? name;
    return this.shader.structs.get(name);
  }

  private splitAtCommas({ from, to }: Span): string[] {
    const parts: string[] = [];
    let depth = 0;
    let start = from;
    for (let at = from; at <= to; at++) {
      const text = at === to ? ',' : this.textAt(at);
      if ('([<'.includes(text)) depth++;
      if (')]>'.includes(text)) depth--;
      if (text !== ',' || (depth > 0 && at < to)) continue;
      if (at > start) parts.push(this.textOf({ from: start, to: at }));
      start = at + 1;
    }
    return parts;
  }

  private textAt(at: number): string {
    return this.shader.tokens[at]?.text ?? '';
  }

  /** The tokens in one line: comments and line breaks become blanks. */
  private textOf({ from, to }: Span): string {
    const { text, tokens } = this.shader;
    const parts = tokens.slice(from, to).map(({ start, end }, index) => {
      const isApart = index > 0 && tokens[from + index - 1]?.end !== start;
      return (isApart ? ' ' : '') + text.slice(start, end);
    });
    return parts.join('');
  }

  private startOf(at: number): number {
    return this.shader.tokens[at]?.start ?? this.shader.text.length;
  }

  private endOf(at: number): number {
    return this.shader.tokens[at]?.end ?? this.shader.text.length;
  }
}

const isEntryPoint = ({ attributes }: FunctionNode): boolean => attributes.some(({ name }) => name === 'compute');

function builtinOf({ tokens }: ShaderNode, attributes: readonly Attribute[]): string | undefined {
  const builtin = attributes.find(({ name }) => name === 'builtin');
  return builtin === undefined ? undefined : tokens[builtin.inside.from]?.text;
}

const allLoops = (loops: readonly LoopNode[]): LoopNode[] => loops.flatMap((loop) => [loop, ...allLoops(loop.loops)]);

const allCalls = ({ calls, loops }: Pick<FunctionNode, 'calls' | 'loops'>): Call[] => [
  ...calls,
  ...loops.flatMap((loop) => allCalls(loop)),
];

/** The two lowest binding numbers above a job's own that the text does not mention. */
function freeNumbers(used: ReadonlySet<number>): number[] {
  const free: number[] = [];
  for (let binding = 64; free.length < 2; binding++) if (!used.has(binding)) free.push(binding);
  return free;
}
