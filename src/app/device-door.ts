/**
 * `#/device`: opens this browser's GPU in a compute worker, shows what it is, and examines it when asked to. It belongs to
 * no hub and lends nothing. Whatever was found stands on the page as JSON too, which is what `tabswarm doctor` reads.
 */

import { render } from 'lit';
import { spawnCompute, type SpawnedCompute } from '../adapters/worker/spawn.ts';
import { devicePage, type DevicePageState } from './device-page.ts';
import { obstacleHere } from './obstacle.ts';

export async function openDeviceDoor(root: HTMLElement): Promise<void> {
  document.title = 'Test this device · tabswarm';
  let compute: SpawnedCompute | undefined;
  let isGone = false;
  let state: DevicePageState = { phase: 'opening', userAgent: navigator.userAgent };
  const show = (change: Partial<DevicePageState>): void => {
    state = { ...state, ...change };
    render(devicePage(state, { run: () => void run() }), root);
  };
  const run = async (): Promise<void> => {
    if (compute === undefined || state.phase !== 'ready') return;
    show({ phase: 'running', step: undefined, problem: undefined });
    try {
      show({ inspection: await compute.inspect((step) => show({ step })) });
    } catch (error) {
      show({ problem: textOf(error) });
    }
    show({ phase: isGone ? 'gone' : 'ready', step: undefined });
  };

  const obstacle = obstacleHere({ isSecureContext, gpu: navigator.gpu });
  if (obstacle !== undefined) return show({ phase: 'gone', problem: obstacle });
  show({});
  try {
    compute = await spawnCompute();
  } catch (error) {
    return show({ phase: 'gone', problem: textOf(error) });
  }
  void compute.gone.then((reason) => {
    isGone = true;
    show({ phase: 'gone', problem: `${reason}; reload the page to try again` });
  });
  show({ phase: 'ready', device: compute.device });
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
