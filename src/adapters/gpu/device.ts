/**
 * Opens the adapter's GPU for computing: the fastest adapter, the features that kernels have variants for, and the
 * adapter's own limits (the defaults allow 128 MiB a binding). Says what the device is in the words that volunteers show
 * to the network. Running work is the executor's part; a lost device is replaced by whoever opened it.
 */

import type { Clock } from '../../core/clock.ts';
import { DeviceError, type Device } from '../../kernels/device.ts';
import type { DeviceDescription } from '../../protocol/messages.ts';
import { textOf } from './errors.ts';
import { createExecutor } from './executor.ts';
import { probeLoopLimit } from './loop-probe.ts';
import { askedGrainMs } from './prompt.ts';

export interface OpenOptions {
  /** What all buffers together may hold. */
  readonly memoryBytesMax?: number;
  /** The engine in the device class, as in `dawn` for Node; a browser's is found from its user agent. */
  readonly engine?: string;
  /** Leaves features out, so that tests see the variants that do without. */
  readonly withoutFeatures?: readonly string[];
  readonly clock?: Clock;
  /** As in `ExecutorOptions`. */
  readonly workScale?: number;
}

export interface OpenedDevice {
  readonly device: Device;
  readonly description: DeviceDescription;
  /** Vendor, architecture and driver as the adapter tells them; empty in browsers that keep them private. */
  readonly adapter: { readonly vendor: string; readonly architecture: string; readonly description: string };
  /** Share of time, above 0 and up to 1, that the GPU may be busy. */
  setDuty(fraction: number): void;
  /** Milliseconds of GPU time used so far. */
  busyMs(): number;
  /** As in `TimedDevice`. */
  readonly grainMs: number;
  /** Resolves with the reason once the device is gone; open a new one then. */
  readonly lost: Promise<string>;
  isLost(): boolean;
  close(): void;
}

const usefulFeatures = ['shader-f16', 'subgroups', 'timestamp-query'] as const satisfies readonly GPUFeatureName[];

/** Of the language rather than of a device: nobody has to ask for it. Browsers that lack the whole list have none. */
const usefulLanguageFeatures = ['packed_4x8_integer_dot_product'];

/** Limits that kernels and jobs gain from; others stay at their defaults, as larger ones may cost speed. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Phones report 1 GiB a buffer and end pages near 1.5 GiB; machines that report more have more. */
const memoryBytesGuess = (bufferBytesMax: number): number => (bufferBytesMax > 2 ** 30 ? 2 ** 32 : 2 ** 30);

/**
 * The GPU behind `navigator.gpu` (pass it as it is: undefined where the browser has none).
 * Throws `DeviceError` with one line where no device can be had.
 */
export async function openDevice(gpu: GPU | undefined, options: OpenOptions = {}): Promise<OpenedDevice> {
  if (gpu === undefined) throw new DeviceError(whyNoGpu());
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new DeviceError(
      'WebGPU is there but found no adapter: update the GPU driver or turn hardware acceleration on',
    );
  }
  const left = new Set(options.withoutFeatures ?? []);
  const requiredFeatures = usefulFeatures.filter((feature) => adapter.features.has(feature) && !left.has(feature));
  const languageFeatures = usefulLanguageFeatures.filter(
    (feature) => languageFeaturesOf(gpu).has(feature) && !left.has(feature),
  );
  const requiredLimits = Object.fromEntries(
    wantedLimits.flatMap((name): [string, number][] => {
      const value = adapter.limits[name];
      return typeof value === 'number' ? [[name, value]] : [];
    }),
  );
  const gpuDevice = await adapter
    .requestDevice({ label: 'tabswarm', requiredFeatures, requiredLimits })
    .catch((error: unknown) => {
      throw new DeviceError(`the GPU adapter gave no device: ${textOf(error)}`);
    });
  const loopIterationsMax = await probeLoopLimit(gpuDevice);
  const looksRarely = engineName() === 'firefox';
  const executor = createExecutor(gpuDevice, {
    clock: options.clock ?? systemClock,
    ...(loopIterationsMax === undefined ? {} : { loopIterationsMax }),
    memoryBytesMax: options.memoryBytesMax ?? memoryBytesGuess(gpuDevice.limits.maxBufferSize),
    languageFeatures,
    looksRarely,
    ...(options.workScale === undefined ? {} : { workScale: options.workScale }),
  });
  const { vendor, architecture, description } = adapter.info;
  return {
    device: executor,
    adapter: { vendor, architecture, description },
    description: {
      deviceClass: deviceClassOf(adapter.info, options.engine ?? engineName()),
      fallback: isFallback(adapter),
      features: [...gpuDevice.features].toSorted(),
      bindingBytesMax: executor.limits.bindingBytesMax,
      bufferBytesMax: executor.limits.bufferBytesMax,
      memoryBytesMax: executor.limits.memoryBytesMax,
      ...(loopIterationsMax === undefined ? {} : { loopIterationsMax }),
    },
    setDuty: executor.setDuty,
    busyMs: () => executor.pacer.busyMs,
    grainMs: looksRarely ? askedGrainMs : 0,
    lost: executor.lost,
    isLost: executor.isLost,
    close: () => executor.close(),
  };
}

const languageFeaturesOf = (gpu: { readonly wgslLanguageFeatures?: ReadonlySet<string> }): ReadonlySet<string> =>
  gpu.wgslLanguageFeatures ?? new Set();

/** Vendor, architecture and browser engine, with `unknown` for what the browser keeps private, as Firefox does. */
export function deviceClassOf(info: Pick<GPUAdapterInfo, 'vendor' | 'architecture'>, engine: string): string {
  return [info.vendor || 'unknown', info.architecture || 'unknown', engine].join(' ').toLowerCase();
}

/** `isFallbackAdapter` moved from the adapter to its info; browsers have one, the other, or both. SwiftShader may deny it. */
function isFallback(adapter: GPUAdapter & { readonly isFallbackAdapter?: boolean }): boolean {
  const { isFallbackAdapter, architecture } = adapter.info;
  return isFallbackAdapter === true || adapter.isFallbackAdapter === true || softwareNames.test(architecture);
}
const softwareNames = /swiftshader|llvmpipe|lavapipe|warp|basic render/i;

function engineName(): string {
  const agent = globalThis.navigator?.userAgent ?? '';
  if (/Firefox\//.test(agent)) return 'firefox';
  if (/Chrom(e|ium)\//.test(agent)) return 'chromium';
  if (/AppleWebKit\//.test(agent)) return 'webkit';
  return 'unknown';
}

const whyNoGpu = (): string =>
  globalThis.isSecureContext === false
    ? 'no WebGPU: browsers offer it only on https pages and on http://localhost; open the page that way'
    : 'no WebGPU: this browser does not offer it; use a current Chrome, Edge, Firefox or Safari with hardware acceleration on';

const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
