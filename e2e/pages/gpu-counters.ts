/**
 * Counts what a program asks of a real `GPUDevice`: buffers and bind groups made, dispatches, submits, readbacks. Wraps
 * the objects that the browser (or Dawn) hands out, so that nothing between the program and the device is left out.
 */

export interface GpuCounts {
  buffers: number;
  bindGroups: number;
  dispatches: number;
  submits: number;
  /** Readbacks, and the bytes that they mapped. */
  maps: number;
  mappedBytes: number;
}

export const noCounts = (): GpuCounts => ({
  buffers: 0,
  bindGroups: 0,
  dispatches: 0,
  submits: 0,
  maps: 0,
  mappedBytes: 0,
});

/** Replaces a method of one object by a function that is given the original, bound. */
function wrap<Thing extends object, Name extends keyof Thing>(
  thing: Thing,
  name: Name,
  around: (original: Thing[Name]) => Thing[Name],
): void {
  const original = thing[name];
  if (typeof original !== 'function') throw new TypeError(`${String(name)} is no method`);
  Object.defineProperty(thing, name, { configurable: true, value: around(original.bind(thing) as Thing[Name]) });
}

/** From now on every device of this `gpu` is counted; set the numbers to zero whenever it suits. */
export function countGpu(gpu: GPU): GpuCounts {
  const counts = noCounts();
  wrap(gpu, 'requestAdapter', (requestAdapter) => async (options) => {
    const adapter = await requestAdapter(options);
    if (adapter !== null) {
      wrap(adapter, 'requestDevice', (requestDevice) => async (descriptor) => {
        const device = await requestDevice(descriptor);
        countDevice(device, counts);
        return device;
      });
    }
    return adapter;
  });
  return counts;
}

function countDevice(device: GPUDevice, counts: GpuCounts): void {
  wrap(device, 'createBuffer', (createBuffer) => (descriptor) => {
    counts.buffers++;
    const buffer = createBuffer(descriptor);
    wrap(buffer, 'mapAsync', (mapAsync) => (mode, offset, size) => {
      counts.maps++;
      counts.mappedBytes += size ?? buffer.size;
      return mapAsync(mode, offset, size);
    });
    return buffer;
  });
  wrap(device, 'createBindGroup', (createBindGroup) => (descriptor) => {
    counts.bindGroups++;
    return createBindGroup(descriptor);
  });
  wrap(device, 'createCommandEncoder', (createCommandEncoder) => (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    wrap(encoder, 'beginComputePass', (beginComputePass) => (passDescriptor) => {
      const pass = beginComputePass(passDescriptor);
      wrap(pass, 'dispatchWorkgroups', (dispatchWorkgroups) => (x, y, z) => {
        counts.dispatches++;
        dispatchWorkgroups(x, y, z);
      });
      return pass;
    });
    return encoder;
  });
  wrap(device.queue, 'submit', (submit) => (commands) => {
    counts.submits++;
    submit(commands);
  });
}
