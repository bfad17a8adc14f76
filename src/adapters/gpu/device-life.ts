/**
 * Whether the device still lives, and the order of calls on it. After a loss some of WebGPU's promises never settle, so
 * every wait goes through here and ends with the device; and a call that must wait holds back those made after it.
 */

import { DeviceError } from '../../kernels/device.ts';
import { textOf } from './errors.ts';

export interface DeviceLife {
  /** Resolves with the reason when the device is lost or ended. */
  readonly lost: Promise<string>;
  isLost(): boolean;
  /** Throws `DeviceError` with the reason once the device is gone. */
  assertAlive(): void;
  /** What WebGPU promised, or a rejection as soon as the device is gone. */
  during<T>(promise: Promise<T>): Promise<T>;
  end(reason: string): void;
}

export function lifeOf(device: GPUDevice): DeviceLife {
  let reason: string | undefined;
  const waiting = new Set<(error: DeviceError) => void>();
  const end = (text: string): string => {
    reason ??= text;
    for (const reject of waiting) reject(new DeviceError(reason));
    waiting.clear();
    return reason;
  };
  return {
    lost: device.lost.then((info) =>
      end(`the GPU device was lost (${info.reason}): ${textOf(info.message)}; open a new one`),
    ),
    isLost: () => reason !== undefined,
    assertAlive() {
      if (reason !== undefined) throw new DeviceError(reason);
    },
    during: (promise) =>
      new Promise((resolve, reject) => {
        if (reason !== undefined) {
          reject(new DeviceError(reason));
          return;
        }
        waiting.add(reject);
        const fail = (error: unknown): void =>
          reject(error instanceof DeviceError ? error : new DeviceError(textOf(error)));
        promise.then(resolve, fail).finally(() => waiting.delete(reject));
      }),
    end,
  };
}

export interface CallOrder {
  /** True where a call may act at once. */
  isFree(): boolean;
  /** Runs the task once all earlier ones are done. */
  enqueue<T>(task: () => Promise<T> | T): Promise<T>;
}

export function createCallOrder(life: DeviceLife): CallOrder {
  let last: Promise<unknown> = Promise.resolve();
  let queued = 0;
  return {
    isFree: () => queued === 0,
    enqueue(task) {
      queued++;
      const result = last.then(() => {
        life.assertAlive();
        return task();
      });
      last = result.then(
        () => queued--,
        () => queued--,
      );
      return result;
    },
  };
}
