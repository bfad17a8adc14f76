/** The page of `kernels.spec.ts`: opens the browser's device and runs what the test asks for. */

import { openDevice } from '../../src/adapters/gpu/device.ts';
import { refereeDigest, refereeDigestExpected } from '../../src/kernels/referee-digest.ts';
import { selfTest } from '../../src/kernels/self-test.ts';
import { exactDigests, exactDigestsExpected } from '../../src/models/exact-digest.ts';
import { conformanceRows, kernelNames } from './conformance-rows.ts';
import { failedWith, rowsThatDependOnTheBatch } from './kernel-checks.ts';
import type { Miscompile } from './miscompiles.ts';
import { goldenRows, parseGolden } from './onnx-golden.ts';
import { variantsThatDependOnTheBatch, variantsThatHideBadNumbers } from './row-checks.ts';

// Kept, so that a refusal reaches the test that asks and not the page's console.
const opened = openDevice(navigator.gpu);
opened.catch(() => undefined);

const kernelsUnderTest = {
  adapter: async () => (await opened).description,
  adapterInfo: async () => (await opened).adapter,
  kernelNames,
  conformanceRows: async (seed: number, kernel: string) => conformanceRows((await opened).device, seed, kernel),
  selfTest: async (seed: number) => selfTest((await opened).device, { seed }),
  goldenRows: async (text: string) => goldenRows(parseGolden(text), (await opened).device),
  failedWith: async (wrong: Miscompile) => failedWith((await opened).device, wrong),
  rowsThatDependOnTheBatch: async () => rowsThatDependOnTheBatch((await opened).device),
  variantsThatDependOnTheBatch: async () => variantsThatDependOnTheBatch((await opened).device),
  variantsThatHideBadNumbers: async () => variantsThatHideBadNumbers((await opened).device),
  exactDigests: async () => ({
    got: { ...(await exactDigests((await opened).device)), referee: refereeDigest() },
    expected: { ...exactDigestsExpected, referee: refereeDigestExpected },
  }),
  usage: async () => (await opened).device.usage(),
};

declare global {
  interface Window {
    kernelsUnderTest: typeof kernelsUnderTest;
  }
}

window.kernelsUnderTest = kernelsUnderTest;
