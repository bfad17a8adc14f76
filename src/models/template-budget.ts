/**
 * Runs a chat template within bounds. Templates come with models, from strangers, and Jinja can loop, recurse and double
 * a text on every line; the library sets no bounds but evaluates every node through one method, so that steps, sizes and
 * what functions are given can be counted there. Nothing of the platform is in reach: no clock, no files, no names.
 */

import { Environment, Interpreter } from '@huggingface/jinja';

type Evaluate = Interpreter['evaluate'];
type Node = NonNullable<Parameters<Evaluate>[0]>;
type Scope = Parameters<Evaluate>[1];
type Value = ReturnType<Evaluate>;
type Program = Parameters<Interpreter['run']>[0];

/** Characters of a prompt and of every text on its way to it: about a context of 250,000 tokens. */
export const textMax = 1024 * 1024;
/** Work of one template: nodes evaluated, turns of loops, and texts by 64 characters. About a second. */
const workMax = 1_000_000;
/** One turn of a loop, for which the library makes scopes, costs as much as this many nodes. */
const stepsPerTurn = 10;
/** Characters made, and characters only read, that cost as much as a node. */
const charactersPerStep = 64;
const charactersReadPerStep = 1024;
/** Numbers that `range` makes: a loop over messages needs one each. */
const rangeMax = 10_000;
/** Texts and numbers given to what multiplies (`replace`, `join`, `indent`): the result stays within this many times. */
const multiplierMax = 128;
/** The few filters and methods whose result can be longer than what goes in. */
const multiplying: ReadonlySet<string> = new Set(['replace', 'join', 'indent', 'tojson', 'split']);
/** Filters that do not read through what they are given. */
const constantTime: ReadonlySet<string> = new Set(['length', 'first', 'last', 'default', 'safe']);
/** Methods that may be given long texts: their result is no longer than their parts. */
const harmless: ReadonlySet<string> = new Set(['get', 'startswith', 'endswith', 'items', 'keys', 'values']);

/** A bound was reached; the message names it. */
class BudgetError extends Error {
  override readonly name = 'BudgetError';
}

/** The text of a parsed template with these variables; throws an error of one line. */
export function renderWithin(program: Program, variables: Readonly<Record<string, unknown>>): string {
  const scope = new Environment();
  const globals: Record<string, unknown> = {
    ...constants,
    raise_exception: (text: unknown) => {
      throw new Error(String(text));
    },
    range,
    ...variables,
  };
  for (const [name, value] of Object.entries(globals)) scope.set(name, value);
  const rendered: unknown = new BoundedInterpreter(scope).run(program).value;
  if (typeof rendered !== 'string') throw new Error('gave no text');
  if (rendered.length > textMax) throw new BudgetError(`makes more than ${textMax} characters`);
  return rendered;
}

const constants = { true: true, false: false, none: null, True: true, False: false, None: null };

function range(first: number, second?: number | null, step = 1): number[] {
  const [from, to] = typeof second === 'number' ? [first, second] : [0, first];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!(count <= rangeMax)) throw new BudgetError(`range() of more than ${rangeMax} numbers`);
  return Array.from({ length: count }, (_, index) => from + index * step);
}

class BoundedInterpreter extends Interpreter {
  #work = 0;
  /** Sizes of lists and objects, which never change once made. */
  readonly #sizes = new WeakMap<object, number>();
  /** Nodes whose value a loop takes its turns from. */
  readonly #looped = new WeakSet<Node>();
  /** Nodes whose value is read through, by an operator or a filter. */
  readonly #readThrough = new WeakSet<Node>();
  /** Nodes that are given to what multiplies. */
  readonly #multipliers = new WeakSet<Node>();
  /** Nodes that may be a method: those that are called, or asked about. */
  readonly #callees = new WeakSet<Node>();

  override evaluate(node: Parameters<Evaluate>[0], scope: Scope): Value {
    this.#spend(1);
    if (node !== undefined) this.#lookAhead(node);
    const value = super.evaluate(node, scope);
    if (node === undefined) return value;
    const size = this.#sizeOf(value);
    // A name or a member is a reference; everything else made its value anew.
    if (node.type !== 'Identifier' && node.type !== 'MemberExpression')
      this.#spend(Math.floor(size / charactersPerStep));
    if (this.#looped.has(node)) this.#spend(stepsPerTurn * lengthOf(value));
    if (this.#readThrough.has(node)) this.#spend(lengthOf(value));
    // A method under another name would escape what is asked of its arguments.
    if (node.type === 'MemberExpression' && value.type === 'FunctionValue' && !this.#callees.has(node))
      throw new BudgetError('keeps a method without calling it');
    if (this.#multipliers.has(node)) requireSmall(value, size);
    return value;
  }

  #spend(work: number): void {
    this.#work += work;
    if (this.#work > workMax) throw new BudgetError('takes too much work; it loops or grows without end');
  }

  /** Marks those children whose values need a look of their own. */
  #lookAhead(node: Node): void {
    switch (node.type) {
      case 'For': {
        const iterable = childOf(node, 'iterable');
        const looped = iterable?.type === 'SelectExpression' ? childOf(iterable, 'lhs') : iterable;
        if (looped !== undefined) this.#looped.add(looped);
        return;
      }
      case 'BinaryExpression':
        this.#markRead(childOf(node, 'left'));
        return this.#markRead(childOf(node, 'right'));
      case 'TestExpression':
        return this.#markCallee(childOf(node, 'operand'));
      case 'FilterExpression':
      case 'FilterStatement':
        return this.#markFilter(node);
      case 'CallStatement':
        return this.#markCall(childOf(node, 'call'));
      case 'CallExpression':
        return this.#markCall(node);
    }
  }

  #markFilter(node: Node): void {
    const filter = childOf(node, 'filter');
    const name = nameOf(filter === undefined ? undefined : (childOf(filter, 'callee') ?? filter));
    if (name === undefined || !constantTime.has(name)) this.#markRead(childOf(node, 'operand'));
    if (filter !== undefined && name !== undefined && multiplying.has(name)) this.#markArguments(filter);
  }

  #markCall(call: Node | undefined): void {
    const callee = call === undefined ? undefined : childOf(call, 'callee');
    if (call === undefined || callee === undefined) return;
    this.#markCallee(callee);
    // A macro by its name may be given anything; a method only little, unless it is known to be harmless.
    if (callee.type !== 'MemberExpression') return;
    this.#markRead(childOf(callee, 'object'));
    const method = Reflect.get(callee, 'computed') === true ? undefined : nameOf(childOf(callee, 'property'));
    if (method === undefined || !harmless.has(method)) this.#markArguments(call);
  }

  #markCallee(node: Node | undefined): void {
    if (node !== undefined) this.#callees.add(node);
  }

  #markRead(node: Node | undefined): void {
    if (node !== undefined) this.#readThrough.add(node);
  }

  #markArguments(call: Node): void {
    for (const argument of childrenOf(call, 'args')) {
      this.#multipliers.add(argument);
      const inner = childOf(argument, 'value') ?? childOf(argument, 'argument');
      if (inner !== undefined) this.#multipliers.add(inner);
    }
  }

  /** How much text a value would be, in characters; throws where that is too much. */
  #sizeOf(value: Value): number {
    const size = this.#measure(value);
    if (size > textMax) throw new BudgetError(`makes a value of more than ${textMax} characters`);
    return size;
  }

  #measure(value: Value): number {
    const inner: unknown = value.value;
    if (typeof inner === 'string') return inner.length;
    if (typeof inner !== 'object' || inner === null) return numberCharacters;
    const known = this.#sizes.get(value);
    if (known !== undefined) return known;
    let size = numberCharacters;
    for (const child of innerValues(inner)) {
      // A namespace changes after it was made, and could hold itself; templates keep it in a variable.
      if (child.type === 'NamespaceValue') throw new BudgetError('puts a namespace into another value');
      size += this.#measure(child);
    }
    if (value.type !== 'NamespaceValue') this.#sizes.set(value, size);
    return size;
  }
}

/** What a number, a name or a pair of brackets takes when written, about. */
const numberCharacters = 16;

function requireSmall(value: Value, size: number): void {
  const inner: unknown = value.value;
  const amount = typeof inner === 'number' ? Math.abs(inner) : typeof inner === 'string' ? inner.length : size / 2;
  if (typeof inner !== 'boolean' && inner !== null && inner !== undefined && !(amount <= multiplierMax))
    throw new BudgetError(`gives replace, join or indent more than ${multiplierMax} characters`);
}

/** The work of reading through a value once. */
function lengthOf(value: Value): number {
  const inner: unknown = value.value;
  if (typeof inner === 'string') return Math.floor(inner.length / charactersReadPerStep);
  if (Array.isArray(inner)) return inner.length;
  return inner instanceof Map ? inner.size : 0;
}

function* innerValues(inner: object): Generator<Value> {
  const children: Iterable<unknown> = Array.isArray(inner) ? inner : inner instanceof Map ? inner.values() : [];
  for (const child of children) if (isValue(child)) yield child;
}

const isValue = (child: unknown): child is Value => typeof child === 'object' && child !== null && 'type' in child;

function childOf(node: Node, name: string): Node | undefined {
  const child: unknown = Reflect.get(node, name);
  return isTreeNode(child) ? child : undefined;
}

function childrenOf(node: Node, name: string): readonly Node[] {
  const children: unknown = Reflect.get(node, name);
  return Array.isArray(children) ? children.filter(isTreeNode) : [];
}

const isTreeNode = (child: unknown): child is Node =>
  typeof child === 'object' && child !== null && 'type' in child && typeof child.type === 'string';

function nameOf(node: Node | undefined): string | undefined {
  const name: unknown = node?.type === 'Identifier' ? Reflect.get(node, 'value') : undefined;
  return typeof name === 'string' ? name : undefined;
}
