/** Node's end of a thread with a browser's events, as Comlink wants it: the same for the worker and for its parent. */

import type { TransferListItem } from 'node:worker_threads';
import type { Endpoint } from 'comlink';

/** What a thread's port and a `Worker` of Node have in common. */
interface Thread {
  postMessage(message: unknown, transfer?: readonly TransferListItem[]): void;
  on(name: 'message' | 'messageerror', listener: (data: unknown) => void): unknown;
}

/** `fail` gives an `error` event with this message. */
export function threadEndpoint(thread: Thread): Endpoint & { fail(message: string): void } {
  const events = new EventTarget();
  thread.on('message', (data) => events.dispatchEvent(new MessageEvent('message', { data })));
  thread.on('messageerror', () => events.dispatchEvent(new Event('messageerror')));
  return {
    postMessage: (message: unknown, transfer?: Transferable[]) =>
      thread.postMessage(message, transfer as TransferListItem[] | undefined),
    addEventListener: events.addEventListener.bind(events),
    removeEventListener: events.removeEventListener.bind(events),
    fail: (message) => void events.dispatchEvent(Object.assign(new Event('error'), { message })),
  };
}
