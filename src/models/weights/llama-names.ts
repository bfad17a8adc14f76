/**
 * What others call the tensors of a Llama or Qwen network, and how their rotary pairs stand. Ours are Meta's names, as in
 * `llama-parameters.ts`, with neighbouring pairs (2i, 2i + 1), as in Meta's checkpoints and llama2.c. Hugging Face turns
 * row i of a head together with row i + half a head (transformers, `convert_llama_weights_to_hf.py`, `permute`). GGUF files
 * of architecture llama are turned back to neighbours (llama.cpp, `convert_hf_to_gguf.py`, `LlamaModel.permute`); those of
 * qwen2 and qwen3 keep Hugging Face's halves (llama.cpp, `llama_model_rope_type`).
 */

import { ok, problem, type Result } from '../../core/result.ts';
import type { TensorFile } from './tensor-file.ts';

export type RotaryPairs = 'neighbours' | 'halves';

export interface Naming {
  readonly says: 'ours' | 'hugging-face' | 'gguf';
  readonly pairs: RotaryPairs;
  /** Their name of a tensor that has this name with us. */
  readonly nameOf: (name: string) => string;
  /** Tensors of theirs that are made anew or stand twice. */
  readonly needless: RegExp;
}

/** Ours, Hugging Face's, GGUF's. */
const whole: readonly (readonly [string, string, string])[] = [
  ['tok_embeddings.weight', 'model.embed_tokens.weight', 'token_embd.weight'],
  ['norm.weight', 'model.norm.weight', 'output_norm.weight'],
  ['output.weight', 'lm_head.weight', 'output.weight'],
];
/** The same behind `layers.N.`, `model.layers.N.` and `blk.N.`; Qwen 2 has the biases, Qwen 3 norms of query and key. */
const layered: readonly (readonly [string, string, string])[] = [
  ['attention.wq', 'self_attn.q_proj', 'attn_q'],
  ['attention.wk', 'self_attn.k_proj', 'attn_k'],
  ['attention.wv', 'self_attn.v_proj', 'attn_v'],
  ['attention.wo', 'self_attn.o_proj', 'attn_output'],
  ['attention.q_norm', 'self_attn.q_norm', 'attn_q_norm'],
  ['attention.k_norm', 'self_attn.k_norm', 'attn_k_norm'],
  ['feed_forward.w1', 'mlp.gate_proj', 'ffn_gate'],
  ['feed_forward.w2', 'mlp.down_proj', 'ffn_down'],
  ['feed_forward.w3', 'mlp.up_proj', 'ffn_up'],
  ['attention_norm', 'input_layernorm', 'attn_norm'],
  ['ffn_norm', 'post_attention_layernorm', 'ffn_norm'],
];

const renamed =
  (column: 1 | 2, layers: string) =>
  (name: string): string => {
    const [, layer, part, kind] = /^layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
    if (layer === undefined) return whole.find(([ours]) => ours === name)?.[column] ?? name;
    const theirs = layered.find(([ours]) => ours === part)?.[column] ?? part;
    return `${layers}.${layer}.${theirs}.${kind}`;
  };

const nothing = /(?!)/;
export const ourNames: Naming = { says: 'ours', pairs: 'neighbours', nameOf: (name) => name, needless: nothing };
export const huggingFaceNames: Naming = {
  says: 'hugging-face',
  pairs: 'halves',
  nameOf: renamed(1, 'model.layers'),
  // Rotary tables of old files, and the classifier of tied networks, which transformers replaces by the embedding.
  needless: /^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$|^lm_head\.weight$/,
};
export const ggufNames: Naming = {
  says: 'gguf',
  pairs: 'neighbours',
  nameOf: renamed(2, 'blk'),
  needless: nothing,
};
export const ggufQwenNames: Naming = { ...ggufNames, pairs: 'halves' };

/** Which names a file uses, seen by its embedding. */
export function namingOf(file: TensorFile): Result<Naming> {
  const embedding = 'tok_embeddings.weight';
  const qwen = /^qwen[23]$/.test(String(file.metadata['general.architecture']));
  const namings = [ourNames, huggingFaceNames, qwen ? ggufQwenNames : ggufNames];
  const found = namings.find(({ nameOf }) => file.tensors.has(nameOf(embedding)));
  if (found !== undefined) return ok(found);
  const names = namings.map(({ nameOf }) => nameOf(embedding)).join(', ');
  return problem('model', `${file.name}: lacks an embedding (${names}); is this a language model?`);
}

/** Whether a tensor of ours has rotary pairs in its rows: weights, biases and gains of queries and keys. */
export const hasRotaryRows = (name: string): boolean => /\.attention\.(wq|wk|q_norm|k_norm)\.(weight|bias)$/.test(name);
