/** Buffers that the CPU can map, kept for the next read: a token's four bytes should not cost a new buffer each time. */

import { alignUp, type Bytes } from '../../core/bytes.ts';

/** Larger ones are rare and would hold the volunteer's memory for nothing. */
const keptBytesMax = 4 * 1024 * 1024;
const keptMax = 4;

export interface Staging {
  /** A buffer of at least this size. */
  take(bytes: number): GPUBuffer;
  /** Maps, copies out and takes the buffer back. The copy into it must have been submitted. */
  collect(buffer: GPUBuffer, bytes: number): Promise<Bytes>;
  destroy(): void;
}

export function createStaging(device: GPUDevice): Staging {
  let kept: GPUBuffer[] = [];
  const giveBack = (buffer: GPUBuffer): void => {
    if (buffer.size > keptBytesMax || kept.length >= keptMax) buffer.destroy();
    else kept.push(buffer);
  };
  return {
    take(bytes) {
      const found = kept.find((buffer) => buffer.size >= bytes);
      if (found !== undefined) {
        kept = kept.filter((buffer) => buffer !== found);
        return found;
      }
      const size = bytes > keptBytesMax ? alignUp(bytes, 8) : 2 ** Math.max(8, Math.ceil(Math.log2(bytes)));
      return device.createBuffer({ label: 'staging', size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    },
    async collect(buffer, bytes) {
      try {
        await buffer.mapAsync(GPUMapMode.READ, 0, alignUp(bytes, 8));
        const copy = new Uint8Array(bytes);
        copy.set(new Uint8Array(buffer.getMappedRange(0, alignUp(bytes, 8)), 0, bytes));
        buffer.unmap();
        giveBack(buffer);
        return copy;
      } catch (error) {
        buffer.destroy();
        throw error;
      }
    },
    destroy() {
      for (const buffer of kept) buffer.destroy();
      kept = [];
    },
  };
}
