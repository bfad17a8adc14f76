/**
 * The safetensors format (huggingface/safetensors, README "Format"): `u64 header length | JSON header | bytes`, little
 * endian, where the header gives each tensor's element type, shape and range of bytes, and the ranges cover the bytes
 * without hole or overlap. No kept library for browsers writes it; what a tensor means is left to the models.
 */

import { fromUtf8, utf8, type Bytes } from '../core/bytes.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { parseJson, v, whole } from '../core/schema.ts';

const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;
export type SafetensorsType = keyof typeof elementBytes;

export interface SafetensorsEntry {
  readonly name: string;
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface SafetensorsFile {
  readonly tensors: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own bound on a header, in bytes. */
const headerBytesMax = 100_000_000;
const metadataKey = '__metadata__';

const entrySchema = v.strictObject({
  dtype: v.picklist(Object.keys(elementBytes) as SafetensorsType[]),
  shape: v.pipe(v.array(whole(0, Number.MAX_SAFE_INTEGER)), v.maxLength(16)),
  data_offsets: v.strictTuple([whole(0, Number.MAX_SAFE_INTEGER), whole(0, Number.MAX_SAFE_INTEGER)]),
});
const headerSchema = v.objectWithRest({ [metadataKey]: v.optional(v.record(v.string(), v.string())) }, entrySchema);

/** A file of these tensors in this order; the header is padded with spaces so that the bytes begin at a multiple of 8. */
export function encodeSafetensors(file: SafetensorsFile): Bytes {
  const header: Record<string, unknown> = {};
  if (Object.keys(file.metadata).length > 0) header[metadataKey] = file.metadata;
  let end = 0;
  for (const { name, type, shape, bytes } of file.tensors) {
    header[name] = { dtype: type, shape, data_offsets: [end, end + bytes.byteLength] };
    end += bytes.byteLength;
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (utf8(text).byteLength % 8)) % 8);
  const headerBytes = utf8(text);
  const encoded = new Uint8Array(8 + headerBytes.byteLength + end);
  new DataView(encoded.buffer).setBigUint64(0, BigInt(headerBytes.byteLength), true);
  encoded.set(headerBytes, 8);
  let offset = 8 + headerBytes.byteLength;
  for (const { bytes } of file.tensors) {
    encoded.set(bytes, offset);
    offset += bytes.byteLength;
  }
  return encoded;
}

/** The tensors of a file as views into its bytes, in the order of their offsets; or what is wrong with it. */
export function decodeSafetensors(bytes: Uint8Array, where: string): Result<SafetensorsFile> {
  const refuse = (text: string) => problem('safetensors', `${where}: ${text}`);
  if (bytes.byteLength < 8) return refuse('shorter than a safetensors header length (8 bytes)');
  const headerLength = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (headerLength > headerBytesMax) return refuse(`header of ${headerLength} bytes; is this a safetensors file?`);
  const start = 8 + Number(headerLength);
  if (start > bytes.byteLength) return refuse(`cut off in its header: ${bytes.byteLength} of at least ${start} bytes`);
  let text: string;
  try {
    text = fromUtf8(bytes.subarray(8, start));
  } catch {
    return refuse('header is not UTF-8');
  }
  const parsed = parseJson(headerSchema, text, `${where}: header`);
  if (!parsed.ok) return parsed;
  const { [metadataKey]: metadata = {}, ...entries } = parsed.value;
  const tensors: SafetensorsEntry[] = [];
  let end = 0;
  const inOrder = Object.entries(entries as Record<string, v.InferOutput<typeof entrySchema>>).toSorted(
    ([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  );
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [from, to],
    },
  ] of inOrder) {
    const size = shape.reduce((product, axis) => product * axis, 1) * elementBytes[dtype];
    if (from !== end) return refuse(`tensor ${name} begins at ${from}, the one before it ends at ${end}`);
    if (to - from !== size)
      return refuse(`tensor ${name} of shape [${shape.join(', ')}] needs ${size} bytes, has ${to - from}`);
    if (start + to > bytes.byteLength)
      return refuse(`cut off in tensor ${name}: ${bytes.byteLength} of at least ${start + to} bytes`);
    tensors.push({ name, type: dtype, shape, bytes: bytes.subarray(start + from, start + to) });
    end = to;
  }
  if (start + end !== bytes.byteLength) return refuse(`${bytes.byteLength - start - end} bytes after its last tensor`);
  return ok({ tensors, metadata });
}
