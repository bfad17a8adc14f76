/**
 * What stands between attention's projections and attention itself when keys and values are kept: RMSNorm of each head
 * where a network has it (Qwen 3), the turn by position, and the store into the pages of each row's sequence.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, setNumber, type Tensor } from './kernel.ts';
import { dealPages, pagedNumbers, type PagedRows } from './pages.ts';
import { rmsNormTolerance, rmsNormTruth } from './rms-norm.ts';
import { ropeTable, ropeTolerance, ropeTruth } from './rope.ts';
import { normals, toF64, type KernelCase } from './test-case.ts';

const store = defineKernel({
  shader: 'rope_store',
  tensors: ['table', 'places:u32', 'pages:u32', '>values', '>cache'],
  numbers: ['rows', 'advance', 'page_tokens', 'pages_each', 'heads', 'kv_heads', 'head_size'],
});

const norm = defineKernel({
  shader: 'head_norm',
  tensors: ['query_gain', 'key_gain', '>values'],
  numbers: ['rows', 'heads', 'kv_heads', 'head_size', 'epsilon:f32'],
});

export interface HeadSizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
}

export interface RopeStoreOptions extends PagedRows, HeadSizes {
  /** Cosine and sine [positions, headSize / 2, 2], as `ropeTable` makes it. */
  readonly table: Tensor;
  /** [rows, heads + 2 kvHeads, headSize]: heads of the query, of the key, of the value. */
  readonly values: Tensor;
  /** [pages, pageTokens, 2 kvHeads, headSize]: of each position the keys and then the values. */
  readonly cache: Tensor;
}

/**
 * Turns the queries in place, and stores the turned keys and the values at each row's position in the cache.
 * `moveRopeStore` moves the dispatch on.
 */
export function ropeStoreDispatch(of: RopeStoreOptions): Dispatch {
  const { table, values, cache, places, pages, rows, heads, kvHeads, headSize } = of;
  return dispatchOf(
    store,
    { table, places, pages, values, cache },
    { ...pagedNumbers(of), heads, kv_heads: kvHeads, head_size: headSize },
    elementGrid((rows * (heads + 2 * kvHeads) * headSize) / 2),
  );
}

/** Makes this dispatch of `ropeStoreDispatch` that of positions so many further on. */
export const moveRopeStore = (dispatch: Dispatch, advance: number): void =>
  setNumber(dispatch, store, 'advance', advance);

/**
 * Each head of query and key is normed in place: gain * x / sqrt(mean(x^2) + epsilon) over the head. `values` as in
 * `ropeStoreDispatch`; gains [headSize].
 */
export function headNormDispatch(
  of: HeadSizes & {
    readonly values: Tensor;
    readonly queryGain: Tensor;
    readonly keyGain: Tensor;
    readonly rows: number;
    readonly epsilon: number;
  },
): Dispatch {
  const { values, queryGain, keyGain, rows, heads, kvHeads, headSize, epsilon } = of;
  return dispatchOf(
    norm,
    { query_gain: queryGain, key_gain: keyGain, values },
    { rows, heads, kv_heads: kvHeads, head_size: headSize, epsilon },
    rowGrid(rows * (heads + kvHeads)),
  );
}

export const ropeStoreKernels = [store, norm];

export const ropeStoreCases = (random: Random): KernelCase[] => [...storeCases(random), ...normCases(random)];

function storeCases(random: Random): KernelCase[] {
  return [
    { positions: [0], pageTokens: 4, heads: 1, kvHeads: 1, headSize: 2 },
    { positions: [64, 3, 96, 16], pageTokens: 16, heads: 6, kvHeads: 2, headSize: 16 },
  ].map(({ positions, pageTokens, ...sizes }): KernelCase => {
    const { heads, kvHeads, headSize } = sizes;
    const [width, inner] = [heads * headSize, kvHeads * headSize];
    const stride = width + 2 * inner;
    const dealt = dealPages(random, positions, pageTokens);
    const { places, pages, pagesEach } = dealt;
    const values = normals(random, positions.length * stride);
    const cache = normals(random, dealt.pageCount * pageTokens * 2 * inner);
    const expected = { values: toF64(values), cache: toF64(cache) };
    for (const [row, position] of positions.entries()) {
      const own = toF64(values.subarray(row * stride, (row + 1) * stride));
      const turning = { tokens: 1, heads: heads + kvHeads, headSize, positionStart: position };
      const turned = ropeTruth(own.subarray(0, width + inner), turning);
      const place = dealt.storedAt(row, position) * 2 * inner;
      expected.values.set(turned.subarray(0, width), row * stride);
      expected.cache.set(turned.subarray(width), place);
      expected.cache.set(own.subarray(width + inner), place + inner);
    }
    const first = Math.min(...positions);
    return {
      kernel: store.name,
      title: `rows at ${positions.join()}, pages of ${pageTokens}, ${heads} heads of ${headSize} on ${kvHeads}`,
      tensors: {
        table: ropeTable(Math.max(...positions) + 1, headSize),
        places: places.map((place, index) => (index % 2 === 0 ? place : place - first)),
        pages,
        values,
        cache,
      },
      dispatches: (of) => {
        const moved = ropeStoreDispatch({
          table: of('table'),
          places: of('places'),
          pages: of('pages'),
          values: of('values'),
          cache: of('cache'),
          rows: positions.length,
          pagesEach,
          pageTokens,
          ...sizes,
        });
        moveRopeStore(moved, first);
        return [moved];
      },
      expected,
      tolerance: ropeTolerance,
    };
  });
}

function normCases(random: Random): KernelCase[] {
  const epsilon = 1e-6;
  return [
    { rows: 1, heads: 1, kvHeads: 1, headSize: 2 },
    { rows: 5, heads: 6, kvHeads: 2, headSize: 96 },
  ].map((sizes): KernelCase => {
    const { rows, heads, kvHeads, headSize } = sizes;
    const values = normals(random, rows * (heads + 2 * kvHeads) * headSize);
    const [queryGain, keyGain] = [normals(random, headSize), normals(random, headSize)];
    const expected = toF64(values);
    for (let start = 0; start < values.length; start += headSize) {
      const head = (start / headSize) % (heads + 2 * kvHeads);
      if (head >= heads + kvHeads) continue;
      const gain = toF64(head < heads ? queryGain : keyGain);
      expected.set(rmsNormTruth(toF64(values.subarray(start, start + headSize)), gain, epsilon).output, start);
    }
    return {
      kernel: norm.name,
      title: `${rows} rows, ${heads} heads of ${headSize} on ${kvHeads}`,
      tensors: { values, queryGain, keyGain },
      dispatches: (of) => [
        headNormDispatch({
          values: of('values'),
          queryGain: of('queryGain'),
          keyGain: of('keyGain'),
          ...sizes,
          epsilon,
        }),
      ],
      expected: { values: expected },
      tolerance: rmsNormTolerance,
    };
  });
}
