/**
 * GGUF files (ggml's `docs/gguf.md`), versions 2 and 3, little endian. The header is parsed by `@huggingface/gguf`, which
 * asks a URL for ranges: it gets a `fetch` that answers from a source, so that it reads files, memory and URLs alike.
 * What it does not check is checked here: that the header is not made up of what lies behind the file's end, types, ranges.
 */

import { gguf, GGMLQuantizationType, type GGUFParseOutput } from '@huggingface/gguf';
import type { ByteSource } from '../../core/byte-source.ts';
import type { Bytes } from '../../core/bytes.ts';
import { ok, oneLine, problem, type Result } from '../../core/result.ts';
import { placeTensors, quotedName, type ClaimedTensor, type TensorFile, type TensorType } from './tensor-file.ts';

/** The types that are read, by ggml's numbers. */
export const ggmlTypes = new Map<number, TensorType>([
  [GGMLQuantizationType.F32, 'f32'],
  [GGMLQuantizationType.F16, 'f16'],
  [GGMLQuantizationType.BF16, 'bf16'],
  [GGMLQuantizationType.Q4_0, 'q4_0'],
  [GGMLQuantizationType.Q8_0, 'q8_0'],
  [GGMLQuantizationType.Q4_K, 'q4_K'],
  [GGMLQuantizationType.Q6_K, 'q6_K'],
  [GGMLQuantizationType.I8, 'i8'],
  [GGMLQuantizationType.I16, 'i16'],
  [GGMLQuantizationType.I32, 'i32'],
  [GGMLQuantizationType.I64, 'i64'],
  [GGMLQuantizationType.F64, 'f64'],
]);

/** Beyond this an alignment is a sign of damage. */
const alignmentMax = 65536;
/** The parser looks ahead by half a megabyte; whoever asks for more behind the end has lost the way. */
const lookAheadBytesMax = 1_000_000;
/** The parser asks that the address looks like one. */
const address = 'http://source/';

/** The tensors and the metadata (`general.architecture`, `tokenizer.ggml.tokens`, …). Reads the header only. */
export async function openGguf(source: ByteSource): Promise<Result<TensorFile>> {
  const refuse = (text: string) => problem('gguf', `${source.name}: ${text}`);
  let failure: { readonly error: unknown } | undefined;
  const read = (start: number, end: number): Promise<Bytes> =>
    source.read(start, end).catch((error: unknown) => {
      failure = { error };
      throw error;
    });
  let parsed: GGUFParseOutput<{ strict: false }>;
  try {
    parsed = await gguf(address, { fetch: fetchOf({ ...source, read }) });
  } catch (error) {
    // A source's own failure; everything else that is thrown is the parser's about the bytes.
    if (failure !== undefined) throw failure.error;
    return refuse(`not a GGUF header: ${oneLine(error instanceof Error ? error.message : String(error))}`);
  }
  const { metadata, tensorInfos, littleEndian, tensorInfoByteRange } = parsed;
  const headerEnd = tensorInfoByteRange[1];
  if (headerEnd > source.bytes) return refuse(`cut off in its header: ${source.bytes} of at least ${headerEnd} bytes`);
  if (!littleEndian || metadata.version === 1) {
    return refuse(`${littleEndian ? 'version 1' : 'big endian'}; only versions 2 and 3, little endian, are read`);
  }
  const pieces = Number(metadata['split.count'] ?? 1);
  if (pieces > 1) return refuse(`one of ${pieces} pieces; join them first (llama-gguf-split --merge)`);
  const alignment = Number(metadata['general.alignment'] ?? 32);
  if (!(alignment >= 1 && alignment <= alignmentMax && Number.isInteger(Math.log2(alignment)))) {
    return refuse(`general.alignment is ${alignment}, expected a power of two up to ${alignmentMax}`);
  }
  const from = Math.ceil(headerEnd / alignment) * alignment;
  const claims: ClaimedTensor[] = [];
  for (const { name, shape, dtype, offset } of tensorInfos) {
    const type = ggmlTypes.get(dtype);
    if (type === undefined) {
      const called = GGMLQuantizationType[dtype] ?? `number ${dtype}`;
      return refuse(`tensor ${quotedName(name)} has type ${called}; read are ${[...ggmlTypes.values()].join(', ')}`);
    }
    // ggml counts axes from the innermost.
    claims.push({ name, type, shape: shape.map(Number).toReversed(), start: from + Number(offset) });
  }
  const tensors = placeTensors(source, claims, { from, alignment });
  return tensors.ok ? ok({ name: source.name, tensors: tensors.value, metadata }) : tensors;
}

type Fetch = NonNullable<NonNullable<Parameters<typeof gguf>[1]>['fetch']>;

/** Answers the parser's range requests; behind the end there is nothing, as with a server. */
function fetchOf(source: ByteSource): Fetch {
  return async (_address, options) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(new Headers(options?.headers).get('range') ?? '') ?? [];
    const start = Number(first);
    if (!(start <= source.bytes + lookAheadBytesMax)) throw new Error('it does not end within the file');
    const end = Math.min(Number(last) + 1, source.bytes);
    const bytes = await source.read(Math.min(start, end), end);
    return new Response(bytes, { headers: { 'content-range': `bytes ${first}-${last}/${source.bytes}` } });
  };
}
