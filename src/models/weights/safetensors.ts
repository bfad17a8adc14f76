/**
 * The safetensors format (huggingface/safetensors, README "Format"): `u64 header length | JSON header | bytes`, little
 * endian, where the header gives each tensor's element type, shape and range of bytes, and the ranges cover the bytes
 * without hole or overlap. A model in several files has an index, `model.safetensors.index.json`, that says which tensor
 * is in which. No kept library reads it from any source, or writes it.
 */

import { assert } from '../../core/assert.ts';
import type { ByteSource } from '../../core/byte-source.ts';
import { concat, concatAll, fromUtf8, utf8, type Bytes } from '../../core/bytes.ts';
import { ok, oneLine, problem, type Result } from '../../core/result.ts';
import { parseJson, v, whole } from '../../core/schema.ts';
import { placeTensors, quotedName, type StoredTensor, type TensorFile, type TensorType } from './tensor-file.ts';

const types = {
  BOOL: 'bool',
  U8: 'u8',
  I8: 'i8',
  U16: 'u16',
  I16: 'i16',
  F16: 'f16',
  BF16: 'bf16',
  U32: 'u32',
  I32: 'i32',
  F32: 'f32',
  U64: 'u64',
  I64: 'i64',
  F64: 'f64',
} as const satisfies Record<string, TensorType>;
export type SafetensorsType = keyof typeof types;

export interface SafetensorsEntry {
  readonly name: string;
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The format's own bound on a header, in bytes. */
const headerBytesMax = 100_000_000;
const metadataKey = '__metadata__';

const offset = whole(0, Number.MAX_SAFE_INTEGER);
const entrySchema = v.strictObject({
  dtype: v.picklist(Object.keys(types) as SafetensorsType[]),
  shape: v.pipe(v.array(offset), v.maxLength(16)),
  data_offsets: v.strictTuple([offset, offset]),
});
const headerSchema = v.objectWithRest({ [metadataKey]: v.optional(v.record(v.string(), v.string())) }, entrySchema);
const indexSchema = v.object({
  weight_map: v.record(v.string(), v.pipe(v.string(), v.regex(/^[\w-][\w.-]*$/, 'expected the name of a file'))),
});

/** A file of these tensors in this order; the header is padded with spaces so that the bytes begin at a multiple of 8. */
export function encodeSafetensors(
  tensors: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Bytes {
  const header = safetensorsHeader(
    tensors.map(({ name, type, shape, bytes }) => ({ name, type: types[type], shape, size: bytes.byteLength })),
    metadata,
  );
  return concatAll([header, ...tensors.map(({ bytes }) => bytes)]);
}

/** What stands before the bytes of tensors of these sizes in this order, the header's length included. */
export function safetensorsHeader(
  tensors: readonly (Pick<StoredTensor, 'name' | 'type' | 'shape'> & { readonly size: number })[],
  metadata: Readonly<Record<string, string>> = {},
): Bytes {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header[metadataKey] = metadata;
  let end = 0;
  for (const { name, type, shape, size } of tensors) {
    header[name] = { dtype: nameOfType(type), shape, data_offsets: [end, end + size] };
    end += size;
  }
  const text = JSON.stringify(header);
  const padded = utf8(text + ' '.repeat((8 - (utf8(text).byteLength % 8)) % 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.byteLength), true);
  return concat(length, padded);
}

function nameOfType(type: TensorType): string {
  const found = Object.entries(types).find(([, one]) => one === type)?.[0];
  assert(found !== undefined, `safetensors have no ${type}`);
  return found;
}

/** The tensors of one file in the order of their offsets, or what is wrong with it. Reads the header only. */
export async function openSafetensors(source: ByteSource): Promise<Result<TensorFile>> {
  const refuse = (text: string) => problem('safetensors', `${source.name}: ${text}`);
  if (source.bytes < 8) return refuse('shorter than a safetensors header length (8 bytes)');
  const length = new DataView((await source.read(0, 8)).buffer).getBigUint64(0, true);
  if (length > headerBytesMax) return refuse(`header of ${length} bytes; is this a safetensors file?`);
  const from = 8 + Number(length);
  if (from > source.bytes) return refuse(`cut off in its header: ${source.bytes} of at least ${from} bytes`);
  let text: string;
  try {
    text = fromUtf8(await source.read(8, from));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse('header is not UTF-8');
  }
  const parsed = parseJson(headerSchema, text, `${source.name}: header`);
  if (!parsed.ok) return problem('safetensors', oneLine(parsed.error.text));
  const { [metadataKey]: metadata = {}, ...entries } = parsed.value;
  const claims = Object.entries(entries as Record<string, v.InferOutput<typeof entrySchema>>).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [start, end],
      },
    ]) => ({
      name,
      type: types[dtype],
      shape,
      start: from + start,
      end: from + end,
    }),
  );
  const tensors = placeTensors(source, claims, { from, alignment: 1 });
  return tensors.ok ? ok({ name: source.name, tensors: tensors.value, metadata }) : tensors;
}

/** A model in several files: `open` gives the source of a file that the index names. */
export async function openShardedSafetensors(
  indexText: string,
  where: string,
  open: (file: string) => Promise<ByteSource>,
): Promise<Result<TensorFile>> {
  const refuse = (text: string) => problem('safetensors', `${where}: ${text}`);
  const index = parseJson(indexSchema, indexText, where);
  if (!index.ok) return problem('safetensors', oneLine(index.error.text));
  const places = new Map(Object.entries(index.value.weight_map));
  const tensors = new Map<string, StoredTensor>();
  for (const file of new Set(places.values())) {
    const shard = await openSafetensors(await open(file));
    if (!shard.ok) return shard;
    for (const [name, tensor] of shard.value.tensors) {
      if (places.get(name) !== file)
        return refuse(`tensor ${quotedName(name)} is in ${file}, which the index does not say`);
      tensors.set(name, tensor);
    }
  }
  for (const [name, file] of places) {
    if (!tensors.has(name)) return refuse(`tensor ${quotedName(name)} is not in ${file}`);
  }
  return ok({ name: where, tensors, metadata: {} });
}
