/**
 * Firefox looks every 100 ms whether a GPU is done, unless something is submitted to it; all times would be multiples of
 * that. Ours ask by themselves (`src/adapters/gpu/prompt.ts`); here every device of the page is asked, whosever it is, so
 * that kernels are compared and not that.
 */

const askEveryMs = 4;

/** Call before any library asks for a device. Does nothing in browsers that look by themselves. */
export function promptAllDevices(): void {
  if (!/Firefox\//.test(navigator.userAgent)) return;
  const devices = new Set<GPUDevice>();
  const prototype = GPUAdapter.prototype;
  const requestDevice = Object.getOwnPropertyDescriptor(prototype, 'requestDevice')?.value as
    GPUAdapter['requestDevice'] | undefined;
  if (requestDevice === undefined) throw new Error('GPUAdapter has no requestDevice to watch');
  prototype.requestDevice = async function (this: GPUAdapter, ...given) {
    const device = await requestDevice.apply(this, given);
    devices.add(device);
    void device.lost.then(() => devices.delete(device));
    return device;
  };
  setInterval(() => {
    for (const device of devices) device.queue.submit([]);
  }, askEveryMs);
}
