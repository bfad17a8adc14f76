/**
 * ONNX's Attention and RotaryEmbedding in the forms of our kernels. Causal attention is the kernel for prompts; attention
 * without a mask is the kernel for decoding, which sees everything when it stands at the last position.
 */

import { attentionTruth } from '../../src/kernels/attention-cases.ts';
import { attentionDecodeDispatch } from '../../src/kernels/attention-decode.ts';
import { attentionDispatch } from '../../src/kernels/attention.ts';
import { ropeDispatch } from '../../src/kernels/rope.ts';
import { toF64 } from '../../src/kernels/test-case.ts';
import { at } from '../../src/kernels/truth.ts';
import type { Form, Golden, GoldenTensor } from './onnx-golden.ts';

/** How a case's tensors lie: a run of heads for each token, in `parts` independent pieces. */
interface Layout {
  readonly parts: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly tokens: number;
  readonly positions: number;
  readonly headSize: number;
  readonly valueSize: number;
  readonly keyPartOf: (part: number) => number;
}

/** [batch, tokens, heads * size] is ours; in [batch, heads, tokens, size] each head is a piece of its own. */
function layoutOf(q: GoldenTensor, k: GoldenTensor, v: GoldenTensor, attrs: Golden['attrs']): Layout {
  const [batch = 0, second = 0, third = 0, fourth = 0] = q.shape;
  if (q.shape.length === 3) {
    const [heads, kvHeads] = [Number(attrs['q_num_heads']), Number(attrs['kv_num_heads'])];
    const sizes = { headSize: third / heads, valueSize: at(v.shape, 2) / kvHeads };
    return {
      parts: batch,
      heads,
      kvHeads,
      tokens: second,
      positions: at(k.shape, 1),
      ...sizes,
      keyPartOf: (part) => part,
    };
  }
  const grouped = second / at(k.shape, 1);
  const sizes = { tokens: third, positions: at(k.shape, 2), headSize: fourth, valueSize: at(v.shape, 3) };
  return { parts: batch * second, heads: 1, kvHeads: 1, ...sizes, keyPartOf: (part) => Math.floor(part / grouped) };
}

export function attentionForm({ attrs, node_inputs, node_outputs, inputs, outputs }: Golden): Form | string {
  const [q, k, v, mask, past] = node_inputs.map((name) => inputs[name]);
  if (q === undefined || k === undefined || v === undefined) return 'an input is missing';
  if (q.dtype !== 'f32') return 'f16 inputs: our activations are f32';
  if (past !== undefined) return 'the past as tensors of its own: our cache holds past and present together';
  if (mask !== undefined) return 'a mask as a tensor: ours is causal or none';
  if (node_outputs.length > 1) return 'scores as an output: ours never exist as a whole';
  if (Number(attrs['softcap'] ?? 0) !== 0) return 'capped scores';
  const layout = layoutOf(q, k, v, attrs);
  const { parts, heads, kvHeads, tokens, positions, headSize, valueSize, keyPartOf } = layout;
  if (valueSize !== headSize) return 'values of another size than keys';
  const scale = Number(attrs['scale'] ?? 1 / Math.sqrt(headSize));
  if (Math.abs(scale * Math.sqrt(headSize) - 1) > 1e-6) return 'a scale other than one over the root of the head size';
  const theirs = outputs[node_outputs[0] ?? '']?.data ?? [];
  const causal = attrs['is_causal'] === 1;
  const sizes = { sequences: 1, heads, kvHeads, headSize };
  // One run of the prompt's kernel, or a run of decoding for each token.
  const runs = Array.from({ length: parts }, (_, part) => {
    const key = keyPartOf(part) * positions * kvHeads * headSize;
    if (causal) return [{ query: part * tokens * heads * headSize, key, tokens, positionStart: 0 }];
    return Array.from({ length: tokens }, (_, token) => {
      const query = (part * tokens + token) * heads * headSize;
      return { query, key, tokens: 1, positionStart: positions - 1 };
    });
  }).flat();
  const [query, key, value] = [toF64(q.data), toF64(k.data), toF64(v.data)];
  const ours = new Float64Array(query.length);
  for (const run of runs) {
    const own = query.subarray(run.query, run.query + run.tokens * heads * headSize);
    const of = { ...sizes, tokens: run.tokens, positionStart: run.positionStart, positionsMax: positions };
    ours.set(attentionTruth(own, key.subarray(run.key), value.subarray(run.key), of).output, run.query);
  }
  return {
    kernel: causal ? 'attention' : 'attention_decode',
    tensors: {
      query: Float32Array.from(q.data),
      key: Float32Array.from(k.data),
      value: Float32Array.from(v.data),
      output: new Float32Array(query.length),
      logSumExp: new Float32Array(query.length),
      // One row at the last position, one page with all of them.
      places: Uint32Array.of(0, positions - 1),
      pages: Uint32Array.of(0),
    },
    dispatches: (tensor) =>
      runs.map((run) => {
        const places = { query: tensor('query', run.query), output: tensor('output', run.query) };
        const cache = { key: tensor('key', run.key), value: tensor('value', run.key) };
        const of = { ...sizes, ...places, ...cache };
        if (!causal) {
          const paged = { pagesEach: 1, pageTokens: Math.ceil(positions / 4) * 4 };
          return attentionDecodeDispatch({
            ...of,
            rows: 1,
            ...paged,
            places: tensor('places'),
            pages: tensor('pages'),
          });
        }
        const logSumExp = tensor('logSumExp', run.query / headSize);
        return attentionDispatch({
          ...of,
          tokens,
          positionStart: run.positionStart,
          positionsMax: positions,
          logSumExp,
        });
      }),
    outputs: { output: { ours, theirs } },
  };
}

export function rotaryForm({ attrs, node_inputs, node_outputs, inputs, outputs }: Golden): Form | string {
  const [x, cosines, sines, positions] = node_inputs.map((name) => inputs[name]);
  if (x === undefined || cosines === undefined || sines === undefined) return 'an input is missing';
  if (attrs['interleaved'] !== 1) return 'pairs from two halves of a head: ours are neighbours';
  if (Number(attrs['rotary_embedding_dim'] ?? 0) !== 0) return 'a part of each head: ours turns all of it';
  if (x.shape.length !== 4) return 'three dimensions';
  const [batch = 0, heads = 0, tokens = 0, headSize = 0] = x.shape;
  const half = headSize / 2;
  // Each sequence gets a table of the positions that its tokens have.
  const table = new Float32Array(batch * tokens * headSize);
  for (let row = 0; row < batch * tokens; row++) {
    const from = (positions === undefined ? row : at(positions.data, row)) * half;
    for (let pair = 0; pair < half; pair++) {
      table[row * headSize + 2 * pair] = at(cosines.data, from + pair);
      table[row * headSize + 2 * pair + 1] = at(sines.data, from + pair);
    }
  }
  // The truth computes its own angles, so here the table's numbers are taken: the same two products and a sum.
  const ours = Float64Array.from(x.data, (value, index) => {
    const row = Math.floor(index / (heads * tokens * headSize)) * tokens + (Math.floor(index / headSize) % tokens);
    const pair = row * headSize + (index % headSize) - (index % 2);
    const partner = at(x.data, index % 2 === 0 ? index + 1 : index - 1);
    return value * at(table, pair) + partner * at(table, pair + 1) * (index % 2 === 0 ? -1 : 1);
  });
  const part = heads * tokens * headSize;
  return {
    kernel: 'rope',
    tensors: { table, values: Float32Array.from(x.data) },
    dispatches: (tensor) =>
      Array.from({ length: batch }, (_, index) =>
        ropeDispatch({
          table: tensor('table', index * tokens * headSize),
          values: tensor('values', index * part),
          rows: heads * tokens,
          tokens,
          heads: 1,
          headSize,
        }),
      ),
    outputs: { values: { ours, theirs: outputs[node_outputs[0] ?? '']?.data ?? [] } },
  };
}
