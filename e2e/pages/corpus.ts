/**
 * The page of `strangers-shaders.spec.ts` that runs the corpus: kernels as they are and rewritten, on the page's own
 * device. Also measures what budgets cost.
 */

import { openDevice, type OpenedDevice } from '../../src/adapters/gpu/device.ts';
import type { DeviceDescription } from '../../src/protocol/messages.ts';
import tight from '../shaders/tight.wgsl?raw';
import { compareKernel, timeKernel, type Comparison, type CorpusOptions, type Times } from '../support/corpus.ts';

export interface CorpusPage {
  open(): Promise<DeviceDescription>;
  compare(options: CorpusOptions): Promise<Comparison[]>;
  /** Milliseconds of a tight kernel as it is and rewritten, in turn. */
  cost(pairs: number): Promise<Times[]>;
}

const sources = import.meta.glob<string>('../shaders/corpus/*.wgsl', { query: '?raw', import: 'default', eager: true });
const kernels = Object.entries(sources).map(([path, wgsl]) => [path.slice(path.lastIndexOf('/') + 1), wgsl] as const);
let opened: Promise<OpenedDevice> | undefined;
const device = (): Promise<OpenedDevice> => (opened ??= openDevice(navigator.gpu));

const page: CorpusPage = {
  open: async () => (await device()).description,
  async compare(options) {
    const { device: on } = await device();
    const found: Comparison[] = [];
    for (const [name, wgsl] of kernels) found.push(await compareKernel(on, name, wgsl, options));
    return found;
  },
  cost: async (pairs) => timeKernel((await device()).device, tight, pairs),
};

declare global {
  interface Window {
    corpusPage: CorpusPage;
  }
}
window.corpusPage = page;
