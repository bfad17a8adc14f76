/**
 * Which loops of a shader may go without a budget: those that plainly count between small constants. And what a function
 * costs at most in such rounds and calls, so that neither loops in loops nor functions that call functions twice make an
 * endless shader out of small numbers. Doubt counts against the loop.
 */

import { ok, type Result } from '../core/result.ts';
import {
  problemAt,
  wholeNumber,
  type Call,
  type FunctionNode,
  type LoopNode,
  type ShaderNode,
} from './wgsl-structure.ts';

/** Rounds of a loop that goes without a budget, and of such loops inside one another. */
const freeRoundsMax = 256;
const freeNestMax = 4096;
/** Calls and free rounds of one invocation; more would stall compilers, which put functions in place of calls. */
const callsMax = 65_536;

export interface LoopBounds {
  /** Loops that need a budget, in the order of the text. */
  readonly budgeted: readonly LoopNode[];
  isFree(loop: LoopNode): boolean;
}

/** Refuses functions that call themselves and trees of calls that explode. `everyLoop` lets none go free. */
export function boundLoops(shader: ShaderNode, everyLoop: boolean): Result<LoopBounds> {
  const costs = new Map<FunctionNode, number>();
  const free = new Set<LoopNode>();
  const budgeted: LoopNode[] = [];
  const under = new Set<FunctionNode>();
  let refused: ReturnType<typeof problemAt> | undefined;

  const costOfCall = ({ callee, at }: Call): number => {
    const called = shader.functions.get(callee);
    if (called === undefined) return 1;
    if (under.has(called)) {
      refused ??= problemAt(shader, at, `${callee} calls itself, which WGSL does not allow; use a loop`);
      return 1;
    }
    return costOfFunction(called);
  };
  const costOf = (calls: readonly Call[], loops: readonly LoopNode[]): number =>
    Math.min(
      Number.MAX_SAFE_INTEGER,
      calls.reduce((sum, call) => sum + costOfCall(call), 1) + loops.reduce((sum, loop) => sum + costOfLoop(loop), 0),
    );
  const costOfLoop = (loop: LoopNode): number => {
    const inside = costOf(loop.calls, loop.loops);
    const rounds = everyLoop ? undefined : constantRounds(shader, loop);
    if (rounds !== undefined && rounds <= freeRoundsMax && rounds * inside <= freeNestMax) {
      free.add(loop);
      return Math.max(1, rounds) * inside;
    }
    budgeted.push(loop);
    return inside;
  };
  const costOfFunction = (node: FunctionNode): number => {
    const known = costs.get(node);
    if (known !== undefined) return known;
    under.add(node);
    const cost = costOf(node.calls, node.loops);
    under.delete(node);
    costs.set(node, cost);
    return cost;
  };

  for (const node of shader.functions.values()) {
    if (costOfFunction(node) > callsMax) {
      refused ??= problemAt(
        shader,
        node.at,
        `${node.name} and what it calls make more than ${callsMax} calls in a row`,
      );
    }
  }
  if (refused !== undefined) return refused;
  return ok({ budgeted: budgeted.toSorted((a, b) => a.at - b.at), isFree: (loop) => free.has(loop) });
}

/** The rounds of `for (var i = 0; i < 16; i++)` and its like, where nothing else changes the variable. */
function constantRounds(shader: ShaderNode, loop: LoopNode): number | undefined {
  if (loop.kind !== 'for') return undefined;
  const words = shader.tokens.slice(loop.header.from, loop.header.to).map(({ text }) => text);
  const parts = /^var (\S+)(?: : [iu]32)? = (\S+) ; (\S+) ([<>])( =)? (\S+) ; (.+)$/.exec(words.join(' '));
  if (parts === null) return undefined;
  const [, name = '', firstText = '', compared, sign, orEqual, lastText = '', update = ''] = parts;
  const first = constantOf(shader, firstText);
  const last = constantOf(shader, lastText);
  const step = stepOf(shader, name, update);
  if (compared !== name || first === undefined || last === undefined || step === undefined) return undefined;
  if (isChanged(shader, loop, name)) return undefined;
  // Numbers this small cannot wrap; downwards only by ones, as an unsigned number would step past its end.
  if (first > 65_536 || last > 65_536) return undefined;
  const distance = sign === '<' ? last - first : first - last;
  if (sign === '<' ? step < 1 : step !== -1 || orEqual !== undefined) return undefined;
  return Math.max(0, Math.ceil((distance + (orEqual === undefined ? 0 : 1)) / Math.abs(step)));
}

function stepOf(shader: ShaderNode, name: string, update: string): number | undefined {
  if (update === `${name} ++`) return 1;
  if (update === `${name} --`) return -1;
  const parts = /^(\S+) (?:([+-])=|= (\S+) ([+-])) (\S+)$/.exec(update);
  if (parts === null) return undefined;
  const [, changed, short, from = name, long, by = ''] = parts;
  const step = constantOf(shader, by);
  if (changed !== name || from !== name || step === undefined || step < 1 || step > 65_536) return undefined;
  return (short ?? long) === '+' ? step : -step;
}

/** A whole number, or a module constant whose name nothing else in the text is given. */
function constantOf({ tokens, constants }: ShaderNode, text: string): number | undefined {
  const known = constants.get(text);
  if (known === undefined) return wholeNumber({ kind: /^\d/.test(text) ? 'number' : 'word', text, start: 0, end: 0 });
  const declared = tokens.filter((token, at) => {
    if (token.text !== text) return false;
    const before = tokens[at - 1]?.text ?? '';
    return ['let', 'var', 'const', 'override'].includes(before) || before === '>' || tokens[at + 1]?.text === ':';
  });
  return declared.length === 1 ? known : undefined;
}

const changes = /^(?:=|\+\+|--|[-+*/%&|^]=)$/;

/** Whether the body may change the variable: assignments, its address, or anything that looks like either. */
function isChanged({ tokens }: ShaderNode, { open, close }: LoopNode, name: string): boolean {
  for (let at = open + 1; at < close; at++) {
    if (tokens[at]?.text !== name) continue;
    let after = at + 1;
    while (tokens[after]?.text === ')') after++;
    let before = at - 1;
    while (tokens[before]?.text === '(') before--;
    const [next, second, third] = [0, 1, 2].map((more) => tokens[after + more]?.text ?? '');
    if (changes.test(next ?? '') || tokens[before]?.text === '&') return true;
    // `<<=` and `>>=` come as three tokens, `<=` as two.
    if ((next === '<' || next === '>') && second === next && third === '=') return true;
  }
  return false;
}
