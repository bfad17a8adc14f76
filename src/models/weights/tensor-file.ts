/**
 * What every weight file is to us: named tensors of some element type, each a range of some source's bytes. The readers
 * (`safetensors.ts`, `gguf.ts`, `llama2c.ts`) make one after checking every range; nothing of the tensors is read until
 * `stream-tensor.ts` asks for it. What a tensor means is left to the models.
 */

import { alignUp } from '../../core/bytes.ts';
import type { ByteSource } from '../../core/byte-source.ts';
import { ok, problem, type Result } from '../../core/result.ts';

/** Elements and bytes of a block, the smallest piece of a tensor; the quantised ones are ggml's (ggml-common.h). */
export const tensorTypes = {
  f64: { elements: 1, bytes: 8 },
  f32: { elements: 1, bytes: 4 },
  f16: { elements: 1, bytes: 2 },
  bf16: { elements: 1, bytes: 2 },
  i64: { elements: 1, bytes: 8 },
  i32: { elements: 1, bytes: 4 },
  i16: { elements: 1, bytes: 2 },
  i8: { elements: 1, bytes: 1 },
  u64: { elements: 1, bytes: 8 },
  u32: { elements: 1, bytes: 4 },
  u16: { elements: 1, bytes: 2 },
  u8: { elements: 1, bytes: 1 },
  bool: { elements: 1, bytes: 1 },
  q4_0: { elements: 32, bytes: 18 },
  q8_0: { elements: 32, bytes: 34 },
  q4_K: { elements: 256, bytes: 144 },
  q6_K: { elements: 256, bytes: 210 },
} as const satisfies Record<string, { readonly elements: number; readonly bytes: number }>;
export type TensorType = keyof typeof tensorTypes;

export interface StoredTensor {
  readonly name: string;
  readonly type: TensorType;
  /** Row-major, the last axis without gaps. */
  readonly shape: readonly number[];
  readonly source: ByteSource;
  /** Its bytes are those of the source from `start` to before `end`. */
  readonly start: number;
  readonly end: number;
}

export interface TensorFile {
  /** The file's own, or its index's. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What the file says besides tensors, as its format has it. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

export const elementsOf = (shape: readonly number[]): number => shape.reduce((product, axis) => product * axis, 1);

/** Bytes of a tensor, or undefined where a row is no whole number of blocks. */
export function tensorBytes(type: TensorType, shape: readonly number[]): number | undefined {
  const block = tensorTypes[type];
  if ((shape.at(-1) ?? 1) % block.elements !== 0) return undefined;
  return (elementsOf(shape) / block.elements) * block.bytes;
}

/** `F32 [2, 3]`, as refusals say it. */
export const describeTensor = ({ type, shape }: Pick<StoredTensor, 'type' | 'shape'>): string =>
  `${type} [${shape.join(', ')}]`;

/** A stranger's name as it may stand in one line. */
export const quotedName = (name: string): string =>
  /^[\w./:-]{1,120}$/.test(name) ? name : JSON.stringify(name.slice(0, 120));

/** A tensor as a header claims it; `end` where the header states it, otherwise its type and shape say it. */
export interface ClaimedTensor {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end?: number;
}

/**
 * The tensors of a source whose data begins at `from`: ranges as long as type and shape ask, each beginning where the
 * one before it ends, aligned, and the last one ending with the file. The first that does not is named.
 */
export function placeTensors(
  source: ByteSource,
  claims: readonly ClaimedTensor[],
  { from, alignment }: { readonly from: number; readonly alignment: number },
): Result<ReadonlyMap<string, StoredTensor>> {
  const refuse = (text: string) => problem('weights', `${source.name}: ${text}`);
  const tensors = new Map<string, StoredTensor>();
  let previous = from;
  for (const claim of claims.toSorted((a, b) => a.start - b.start || (a.end ?? 0) - (b.end ?? 0))) {
    const { name, type, shape, start } = claim;
    const called = `tensor ${quotedName(name)}`;
    if (tensors.has(name)) return refuse(`${called} is there twice`);
    const size = tensorBytes(type, shape);
    if (size === undefined) {
      return refuse(
        `${called}: rows of ${shape.at(-1)} are no whole number of ${type} blocks of ${tensorTypes[type].elements}`,
      );
    }
    const end = claim.end ?? start + size;
    if (end - start !== size)
      return refuse(`${called} is ${describeTensor(claim)}: ${size} bytes, but has ${end - start}`);
    const expected = from + alignUp(previous - from, alignment);
    if (start < expected) return refuse(`${called} begins at ${start}, inside what ends at ${expected}`);
    if (start > expected) return refuse(`${called} begins at ${start}, the one before it ends at ${expected}`);
    if (end > source.bytes)
      return refuse(`cut off in ${called}: ${source.bytes} of at least ${end} bytes; fetch it again`);
    tensors.set(name, { name, type, shape, source, start, end });
    previous = end;
  }
  if (source.bytes > from + alignUp(previous - from, alignment)) {
    return refuse(`${source.bytes - previous} bytes after its last tensor; fetch it again`);
  }
  return ok(tensors);
}
