/**
 * Looks at another library's buffer: its first float, which is four bytes, after all work that its queue holds. Then it
 * spoils that float, so that a result which is read twice, or a buffer that is used again and not computed, is found.
 */

export function createPeek(device: GPUDevice): (buffer: GPUBuffer) => Promise<number> {
  const { COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const staging = device.createBuffer({ size: 4, usage: COPY_DST | MAP_READ });
  const spoil = device.createBuffer({ size: 4, usage: COPY_SRC | COPY_DST });
  device.queue.writeBuffer(spoil, 0, Float32Array.of(NaN));
  return async (buffer) => {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, 4);
    encoder.copyBufferToBuffer(spoil, 0, buffer, 0, 4);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const [value = NaN] = new Float32Array(staging.getMappedRange().slice(0));
    staging.unmap();
    return value;
  };
}
