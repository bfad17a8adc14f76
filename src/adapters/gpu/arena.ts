/**
 * Uniform bytes of one submit, side by side in one buffer and bound with dynamic offsets, so that neither buffers nor
 * bind groups are made per dispatch. The queue keeps the order of writes and submits, so the arena starts again at zero
 * after each submit.
 */

import { alignUp } from '../../core/bytes.ts';

/** 4096 uniforms of up to 256 bytes: as many as a submit has dispatches. */
const arenaBytes = 1024 * 1024;

export interface UniformArena {
  readonly buffer: GPUBuffer;
  readonly hasRoom: (bytes: readonly number[]) => boolean;
  /** Copies the bytes in; gives the offset. */
  put(bytes: Uint8Array): number;
  /** Hands the bytes to the queue; to be called right before the submit that uses them. */
  upload(): void;
  destroy(): void;
}

/** Bytes that a uniform binding takes: WGSL lays uniform structs out in multiples of 16. */
export const uniformBindingBytes = (bytes: number): number => Math.max(16, alignUp(bytes, 16));

export function createUniformArena(device: GPUDevice): UniformArena {
  const alignment = device.limits.minUniformBufferOffsetAlignment;
  const buffer = device.createBuffer({
    label: 'uniform arena',
    size: arenaBytes,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });
  const mirror = new Uint8Array(arenaBytes);
  let used = 0;
  const slot = (bytes: number): number => alignUp(uniformBindingBytes(bytes), alignment);
  return {
    buffer,
    hasRoom: (sizes) => used + sizes.reduce((sum, bytes) => sum + slot(bytes), 0) <= arenaBytes,
    put(bytes) {
      const offset = used;
      const end = offset + slot(bytes.byteLength);
      mirror.set(bytes, offset);
      mirror.fill(0, offset + bytes.byteLength, end);
      used = end;
      return offset;
    },
    upload() {
      if (used > 0) device.queue.writeBuffer(buffer, 0, mirror, 0, used);
      used = 0;
    },
    destroy: () => buffer.destroy(),
  };
}
