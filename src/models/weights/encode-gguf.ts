/**
 * Writes GGUF files (ggml's `docs/gguf.md`, version 3) piece by piece, so that a file need not fit into memory:
 * `@huggingface/gguf` makes the metadata, the list of tensors and their bytes are made here. Quantising is
 * `kernels/quant-blocks.ts`; its words go back into ggml's blocks here.
 */

import { GGMLQuantizationType, GGUFValueType, serializeGgufMetadata, type MetadataValue } from '@huggingface/gguf';
import { assert } from '../../core/assert.ts';
import { alignUp, concat, concatAll, utf8, viewBytes } from '../../core/bytes.ts';
import { packHalves } from '../../kernels/half.ts';
import { ggmlBlockBytes, quantiseQ4_0, quantiseQ8_0, type QuantWeights } from '../../kernels/quant-blocks.ts';
import { describeTensor, tensorBytes } from './tensor-file.ts';

/** Types that are written. */
export type GgufType = 'f32' | 'f16' | 'q8_0' | 'q4_0';

export interface GgufTensor {
  readonly name: string;
  /** Row-major, the last axis without gaps; of quantised types a multiple of 32. */
  readonly shape: readonly number[];
  readonly type: GgufType;
  /** All its numbers in pieces of whole blocks; asked for once. */
  readonly values?: () => Iterable<Float32Array>;
  /** Instead of `values`: its bytes as they shall lie in the file. */
  readonly bytes?: () => Iterable<Uint8Array>;
}

export interface GgufEntry {
  readonly type: GGUFValueType;
  /** Of the elements, where the type is ARRAY. */
  readonly subType?: GGUFValueType;
  readonly value: MetadataValue;
}

export interface GgufFile {
  /** By key, as `general.architecture`. */
  readonly metadata: Readonly<Record<string, GgufEntry>>;
  readonly tensors: readonly GgufTensor[];
}

const alignment = 32;
const typeNumbers = {
  f32: GGMLQuantizationType.F32,
  f16: GGMLQuantizationType.F16,
  q8_0: GGMLQuantizationType.Q8_0,
  q4_0: GGMLQuantizationType.Q4_0,
} as const satisfies Record<GgufType, GGMLQuantizationType>;

/** The file's bytes one after another, pieces as long as those of the tensors. */
export function* encodeGguf({ metadata, tensors }: GgufFile): Generator<Uint8Array> {
  const typed = {
    ...metadata,
    version: { value: 3, type: GGUFValueType.UINT32 },
    tensor_count: { value: BigInt(tensors.length), type: GGUFValueType.UINT64 },
    kv_count: { value: BigInt(Object.keys(metadata).length), type: GGUFValueType.UINT64 },
  } as const;
  const infos: Uint8Array[] = [];
  let end = 0;
  for (const tensor of tensors) {
    infos.push(tensorInfo(tensor, end));
    end = alignUp(end + sizeOf(tensor), alignment);
  }
  // Not aligned: the list of tensors follows at once.
  const header = concatAll([serializeGgufMetadata(typed, { alignment: 1 }), ...infos]);
  yield header;
  yield padding(header.byteLength);
  for (const tensor of tensors) {
    let written = 0;
    for (const bytes of bytesOf(tensor)) {
      written += bytes.byteLength;
      yield bytes;
    }
    assert(written === sizeOf(tensor), `${tensor.name}: ${written} bytes of ${describeTensor(tensor)}`);
    yield padding(written);
  }
}

function* bytesOf({ type, values, bytes }: GgufTensor): Iterable<Uint8Array> {
  if (bytes !== undefined) yield* bytes();
  for (const piece of values?.() ?? []) yield encodeValues(type, piece);
}

const padding = (written: number): Uint8Array => new Uint8Array(alignUp(written, alignment) - written);

function sizeOf(tensor: GgufTensor): number {
  const bytes = tensorBytes(tensor.type, tensor.shape);
  assert(bytes !== undefined, `${tensor.name}: ${describeTensor(tensor)} is no whole number of blocks`);
  return bytes;
}

/** Length and bytes of the name, number of axes, axes from the innermost, type, offset behind the header. */
function tensorInfo({ name, shape, type }: GgufTensor, offset: number): Uint8Array {
  const bytes = utf8(name);
  const rest = new DataView(new ArrayBuffer(16 + 8 * shape.length));
  rest.setUint32(0, shape.length, true);
  for (const [index, axis] of shape.toReversed().entries()) rest.setBigUint64(4 + 8 * index, BigInt(axis), true);
  rest.setUint32(4 + 8 * shape.length, typeNumbers[type], true);
  rest.setBigUint64(8 + 8 * shape.length, BigInt(offset), true);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(bytes.byteLength), true);
  return concat(viewBytes(length), bytes, viewBytes(rest));
}

/** Numbers as they lie in a file, in whole blocks. */
export function encodeValues(type: GgufType, values: Float32Array): Uint8Array {
  if (type === 'f32') return viewBytes(values);
  if (type === 'f16') return viewBytes(packHalves(values)).subarray(0, 2 * values.length);
  return ggmlBlocks(type === 'q4_0' ? quantiseQ4_0(values) : quantiseQ8_0(values));
}

/** The inverse of `packQ4_0` and `packQ8_0`. */
function ggmlBlocks({ format, quants, scales }: QuantWeights): Uint8Array {
  const size = ggmlBlockBytes[format] - 2;
  const bits = viewBytes(quants);
  const halves = viewBytes(scales);
  const blocks = bits.length / size;
  const bytes = new Uint8Array(blocks * (size + 2));
  for (let block = 0; block < blocks; block++) {
    const start = block * (size + 2);
    bytes.set(halves.subarray(2 * block, 2 * block + 2), start);
    const own = bits.subarray(block * size, (block + 1) * size);
    bytes.set(format === 'q4_0' ? own.map((byte) => byte ^ 0x88) : own, start + 2);
  }
  return bytes;
}
