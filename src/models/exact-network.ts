/**
 * Two small programs of the exact family, whose digests are equal on every adapter and in every engine: a Llama-shaped
 * forward pass in fixed point, and ten steps of training a network of two layers. They are a conformance test, and the shape
 * in which a result can be refereed: a list of operations over named tensors, each of which a CPU can do again.
 */

import { createRandom } from '../core/prng.ts';
import { integers } from '../kernels/exact-cases.ts';
import {
  exactGather,
  exactGatherGradient,
  exactMatmul,
  exactNorm,
  exactProduct,
  exactRequantise,
  exactScale,
  exactSoftmax,
  exactTable,
  exactUpdate,
  type ExactOperand,
  type ExactOperation,
} from '../kernels/exact.ts';
import { expTable, siluSlopeTable, siluTable } from '../kernels/exact-tables.ts';

export interface ExactProgram {
  /** Every tensor by name, with what it starts with. */
  readonly tensors: Readonly<Record<string, Int32Array<ArrayBuffer>>>;
  readonly operations: readonly ExactOperation[];
  /** Tensors whose final values are the result, in order. */
  readonly results: readonly string[];
}

const byte = 127;
/** What the residual stream and the master weights may grow to: sums of two still fit 32 bits. */
const wide = 2 ** 24;

/** Stored [outer, inner]. */
const rowsOf = (name: string, inner: number, offset = 0, outerStride = inner): ExactOperand => ({
  name,
  offset,
  outerStride,
  innerStride: 1,
});
/** Stored [inner, outer]. */
const columnsOf = (name: string, outer: number, offset = 0, innerStride = outer): ExactOperand => ({
  name,
  offset,
  outerStride: 1,
  innerStride,
});

/** Tokens through layers of attention and gated feed-forward; the result is the logits [tokens, vocabulary] before scaling. */
export function exactForwardProgram(seed: number): ExactProgram {
  const [vocabulary, width, hidden, heads, tokens, layers] = [64, 32, 64, 2, 17, 2];
  const head = width / heads;
  const random = createRandom(seed, 0);
  const space = (elements: number): Int32Array<ArrayBuffer> => new Int32Array(elements);
  const tensors: Record<string, Int32Array<ArrayBuffer>> = {
    tokens: Int32Array.from({ length: tokens }, () => random.below(vocabulary)),
    embedding: integers(random, vocabulary * width, byte),
    gain: new Int32Array(width).fill(64),
    exp: expTable(),
    silu: siluTable(),
    stream: space(tokens * width),
    normed: space(tokens * width),
    wide: space(tokens * Math.max(hidden, width)),
    query: space(tokens * width),
    key: space(tokens * width),
    value: space(tokens * width),
    scores: space(tokens * tokens),
    weights: space(tokens * tokens),
    mixed: space(tokens * width),
    mixedWide: space(tokens * width),
    gate: space(tokens * hidden),
    up: space(tokens * hidden),
    curved: space(tokens * hidden),
    gated: space(tokens * hidden),
    logits: space(tokens * vocabulary),
  };
  const operations: ExactOperation[] = [];
  /** output = bytes of input [tokens, from] x weight [to, from]. */
  const project = (input: string, weight: string, output: string, from: number, to: number): void => {
    operations.push(product(input, weight, from, to), scaleInto(output, tokens * to, from));
  };
  const product = (input: string, weight: string, from: number, to: number): ExactOperation =>
    exactMatmul({
      left: rowsOf(input, from),
      right: rowsOf(weight, from),
      output: { name: 'wide' },
      rows: tokens,
      columns: to,
      inner: from,
    });
  // Random bytes have a deviation of 73, so a sum of `from` products about sqrt(from) * 73 * 32; a byte's one is 32.
  const scaleInto = (output: string, count: number, from: number): ExactOperation =>
    exactRequantise({
      input: { name: 'wide' },
      output: { name: output },
      count,
      scale: exactScale(1 / (73 * Math.sqrt(from))),
      bound: byte,
    });
  /** stream += input [tokens, from] x weight [width, from]. */
  const addToStream = (input: string, weight: string, from: number): void => {
    operations.push(
      product(input, weight, from, width),
      exactUpdate({
        input: { name: 'wide' },
        output: { name: 'stream' },
        count: tokens * width,
        scale: exactScale(1 / (73 * Math.sqrt(from))),
        bound: wide,
      }),
    );
  };
  const normalise = (): void => {
    operations.push(
      exactNorm({
        input: { name: 'stream' },
        gain: { name: 'gain' },
        output: { name: 'normed' },
        rows: tokens,
        width,
      }),
    );
  };
  operations.push(
    exactGather({
      tokens: { name: 'tokens' },
      input: { name: 'embedding' },
      output: { name: 'stream' },
      rows: tokens,
      width,
      vocabulary,
    }),
  );
  for (let layer = 0; layer < layers; layer++) {
    const weight = (name: string, elements: number): string => {
      tensors[`${name} ${layer}`] = integers(random, elements, byte);
      return `${name} ${layer}`;
    };
    normalise();
    for (const name of ['query', 'key', 'value']) project('normed', weight(name, width * width), name, width, width);
    for (let index = 0; index < heads; index++) {
      const at = index * head;
      operations.push(
        exactMatmul({
          left: rowsOf('query', head, at, width),
          right: rowsOf('key', head, at, width),
          output: { name: 'scores' },
          rows: tokens,
          columns: tokens,
          inner: head,
        }),
        exactSoftmax({
          logits: { name: 'scores' },
          table: { name: 'exp' },
          output: { name: 'weights' },
          rows: tokens,
          columns: tokens,
          // Sixteen steps of the table an e-fold, and 32 * 32 * sqrt(head) a one of the scaled product.
          scale: exactScale(16 / (1024 * Math.sqrt(head))),
          causal: true,
        }),
        exactMatmul({
          left: rowsOf('weights', tokens),
          right: columnsOf('value', head, at, width),
          output: { name: 'mixedWide', offset: at },
          rows: tokens,
          columns: head,
          inner: tokens,
          outputRowStride: width,
        }),
      );
    }
    operations.push(
      exactRequantise({
        input: { name: 'mixedWide' },
        output: { name: 'mixed' },
        count: tokens * width,
        scale: { multiplier: 1024, shift: 25 },
        bound: byte,
      }),
    );
    addToStream('mixed', weight('output', width * width), width);
    normalise();
    project('normed', weight('gate', hidden * width), 'gate', width, hidden);
    project('normed', weight('up', hidden * width), 'up', width, hidden);
    operations.push(
      exactTable({
        input: { name: 'gate' },
        table: { name: 'silu' },
        output: { name: 'curved' },
        count: tokens * hidden,
      }),
      exactProduct({
        input: { name: 'curved' },
        other: { name: 'up' },
        output: { name: 'gated' },
        count: tokens * hidden,
        scale: exactScale(1 / 32),
        bound: byte,
      }),
    );
    addToStream('gated', weight('down', width * hidden), hidden);
  }
  normalise();
  operations.push(
    exactMatmul({
      left: rowsOf('normed', width),
      right: rowsOf('embedding', width),
      output: { name: 'logits' },
      rows: tokens,
      columns: vocabulary,
      inner: width,
    }),
  );
  return { tensors, operations, results: ['logits'] };
}

/**
 * Ten steps of gradient descent that teach a network of two layers (embedding, silu, classifier) which token follows which.
 * Weights are kept in fixed point with 8 bits more than the bytes that are multiplied. The results are the masters and the
 * probabilities of the last step.
 */
export function exactTrainingProgram(seed: number, steps = 10): ExactProgram {
  const [vocabulary, width, hidden, rows] = [32, 16, 48, 65];
  const random = createRandom(seed, 1);
  const space = (elements: number): Int32Array<ArrayBuffer> => new Int32Array(elements);
  const tokens = Int32Array.from({ length: rows }, () => random.below(vocabulary));
  const master = (elements: number): Int32Array<ArrayBuffer> => integers(random, elements, 24 * 256);
  const tensors: Record<string, Int32Array<ArrayBuffer>> = {
    tokens,
    targets: tokens.map((token) => (token * 5 + 3) % vocabulary),
    exp: expTable(),
    silu: siluTable(),
    slope: siluSlopeTable(),
    'embedding master': master(vocabulary * width),
    'first master': master(hidden * width),
    'second master': master(vocabulary * hidden),
    embedding: space(vocabulary * width),
    first: space(hidden * width),
    second: space(vocabulary * hidden),
    input: space(rows * width),
    sums: space(rows * hidden),
    before: space(rows * hidden),
    after: space(rows * hidden),
    slopes: space(rows * hidden),
    logits: space(rows * vocabulary),
    gradient: space(rows * vocabulary),
    'gradient bytes': space(rows * vocabulary),
    'after gradient': space(rows * hidden),
    'after bytes': space(rows * hidden),
    'before gradient': space(rows * hidden),
    'input gradient': space(rows * width),
    'embedding gradient': space(vocabulary * width),
    'first gradient': space(hidden * width),
    'second gradient': space(vocabulary * hidden),
  };
  const weights = [
    { name: 'embedding', count: vocabulary * width, rate: 1.5 },
    { name: 'first', count: hidden * width, rate: 1.5 },
    { name: 'second', count: vocabulary * hidden, rate: 1.5 },
  ];
  const scaleTo = (input: string, output: string, count: number, factor: number): ExactOperation =>
    exactRequantise({
      input: { name: input },
      output: { name: output },
      count,
      scale: exactScale(factor),
      bound: byte,
    });
  const forward = [
    ...weights.map(({ name, count }) => scaleTo(`${name} master`, name, count, 1 / 256)),
    exactGather({
      tokens: { name: 'tokens' },
      input: { name: 'embedding' },
      output: { name: 'input' },
      rows,
      width,
      vocabulary,
    }),
    exactMatmul({
      left: rowsOf('input', width),
      right: rowsOf('first', width),
      output: { name: 'sums' },
      rows,
      columns: hidden,
      inner: width,
    }),
    scaleTo('sums', 'before', rows * hidden, 1 / 32),
    exactTable({
      input: { name: 'before' },
      table: { name: 'silu' },
      output: { name: 'after' },
      count: rows * hidden,
    }),
    exactMatmul({
      left: rowsOf('after', hidden),
      right: rowsOf('second', hidden),
      output: { name: 'logits' },
      rows,
      columns: vocabulary,
      inner: hidden,
    }),
    exactSoftmax({
      logits: { name: 'logits' },
      table: { name: 'exp' },
      output: { name: 'gradient' },
      rows,
      columns: vocabulary,
      scale: exactScale(16 / 1024),
      targets: { name: 'targets' },
    }),
  ];
  const backward = [
    scaleTo('gradient', 'gradient bytes', rows * vocabulary, 1 / 258),
    exactMatmul({
      left: columnsOf('gradient bytes', vocabulary),
      right: columnsOf('after', hidden),
      output: { name: 'second gradient' },
      rows: vocabulary,
      columns: hidden,
      inner: rows,
    }),
    exactMatmul({
      left: rowsOf('gradient bytes', vocabulary),
      right: columnsOf('second', hidden),
      output: { name: 'after gradient' },
      rows,
      columns: hidden,
      inner: vocabulary,
    }),
    scaleTo('after gradient', 'after bytes', rows * hidden, 1 / 32),
    exactTable({
      input: { name: 'before' },
      table: { name: 'slope' },
      output: { name: 'slopes' },
      count: rows * hidden,
    }),
    exactProduct({
      input: { name: 'after bytes' },
      other: { name: 'slopes' },
      output: { name: 'before gradient' },
      count: rows * hidden,
      scale: exactScale(1 / 64),
      bound: byte,
    }),
    exactMatmul({
      left: columnsOf('before gradient', hidden),
      right: columnsOf('input', width),
      output: { name: 'first gradient' },
      rows: hidden,
      columns: width,
      inner: rows,
    }),
    exactMatmul({
      left: rowsOf('before gradient', hidden),
      right: columnsOf('first', width),
      output: { name: 'input gradient' },
      rows,
      columns: width,
      inner: hidden,
    }),
    exactGatherGradient({
      tokens: { name: 'tokens' },
      input: { name: 'input gradient' },
      output: { name: 'embedding gradient' },
      rows,
      width,
      vocabulary,
    }),
    ...weights.map(({ name, count, rate }) =>
      exactUpdate({
        input: { name: `${name} gradient` },
        output: { name: `${name} master` },
        count,
        scale: exactScale(rate / 16),
        bound: byte * 256,
        negate: true,
      }),
    ),
  ];
  const operations = Array.from({ length: steps }, () => [...forward, ...backward]).flat();
  const results = [...weights.map(({ name }) => `${name} master`), 'gradient'];
  return { tensors, operations, results };
}
