/**
 * A model in several safetensors files as one such file that nobody writes: its header is made here, and its bytes are those
 * of the parts, read where they lie when they are asked for. Served models are one file each; see `safetensors.ts`.
 */

import { assertRange, type ByteSource } from '../../core/byte-source.ts';
import { concatAll, type Bytes } from '../../core/bytes.ts';
import { safetensorsHeader } from './safetensors.ts';
import type { StoredTensor, TensorFile } from './tensor-file.ts';

interface Placed {
  readonly tensor: StoredTensor;
  /** Where it begins in the joined file. */
  readonly start: number;
  readonly end: number;
}

/** The tensors of these files, in their order, as one source. */
export function joinSafetensors(file: TensorFile): ByteSource {
  const tensors = [...file.tensors.values()];
  const header = safetensorsHeader(
    tensors.map(({ name, type, shape, start, end }) => ({ name, type, shape, size: end - start })),
  );
  let end = header.byteLength;
  const placed = tensors.map((tensor): Placed => {
    const start = end;
    end += tensor.end - tensor.start;
    return { tensor, start, end };
  });
  const bytes = end;

  async function read(from: number, to: number): Promise<Bytes> {
    assertRange({ name: file.name, bytes }, from, to);
    const parts: Uint8Array[] = [header.subarray(Math.min(from, header.byteLength), Math.min(to, header.byteLength))];
    for (let index = firstEndingAfter(placed, from); index < placed.length; index++) {
      const one = placed[index];
      if (one === undefined || one.start >= to) break;
      const { source, start } = one.tensor;
      const first = Math.max(from, one.start) - one.start;
      const last = Math.min(to, one.end) - one.start;
      if (last > first) parts.push(await source.read(start + first, start + last));
    }
    return concatAll(parts);
  }

  return { name: file.name, bytes, read };
}

/** Files have thousands of tensors, and every chunk asks. */
function firstEndingAfter(placed: readonly Placed[], position: number): number {
  let low = 0;
  let high = placed.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((placed[middle]?.end ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
