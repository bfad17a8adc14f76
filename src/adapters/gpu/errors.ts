/** What WebGPU says when something is wrong, as one line that a person can act on. */

import { DeviceError } from '../../kernels/device.ts';

/** What a browser's many-lined message says, with the binding that it is about, without the trail of API calls below. */
export function oneLine(message: string): string {
  const lines = message.split('\n').map((line) => line.trim());
  const said = lines.filter((line) => line !== '' && !line.startsWith('- While') && !line.startsWith('at ')).join(' ');
  const place = /@group\(\d+\) @binding\(\d+\)/.exec(message)?.[0];
  const text = place === undefined || said.includes(place) ? said : `${place}: ${said}`;
  return text.slice(0, 1000) || 'the browser gave no reason';
}

export const textOf = (error: unknown): string => oneLine(error instanceof Error ? error.message : String(error));

const scopeNames = ['validation', 'out-of-memory', 'internal'] as const;
const scopeTexts: Record<GPUErrorFilter, string> = {
  validation: 'the GPU refused the work',
  'out-of-memory': 'out of GPU memory',
  internal: 'the GPU driver failed',
};

/** Takes the promise of an error that some work may turn out to have had. */
export type ReportError = (error: Promise<DeviceError | undefined>) => void;

/** Runs `work` inside all three error scopes; `report` gets a promise of the first error, or of nothing. */
export function inErrorScopes<T>(device: GPUDevice, what: string, work: () => T, report: ReportError): T {
  for (const name of scopeNames) device.pushErrorScope(name);
  try {
    return work();
  } finally {
    const popped = scopeNames.toReversed().map(async (name) => {
      const error = await device.popErrorScope();
      return error === null ? undefined : new DeviceError(`${what}: ${scopeTexts[name]}: ${oneLine(error.message)}`);
    });
    const first = Promise.all(popped).then((errors) => errors.find((error) => error !== undefined));
    // A device that is lost meanwhile pops no scope; whoever still waits for it hears of the loss elsewhere.
    first.catch(() => undefined);
    report(first);
  }
}
