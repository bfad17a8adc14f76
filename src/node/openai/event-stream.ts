/**
 * Server-sent events as OpenAI's API streams them: `data: {json}` line by line, `data: [DONE]` at the end, and comments while
 * nothing comes, so that nobody between takes the connection for dead. Headers leave with the first of them: until then a
 * request can still be refused with a status.
 */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

export interface EventStream {
  readonly hasBegun: boolean;
  /** Resolves when the client has taken what came before. */
  send(value: object): Promise<void>;
  end(): void;
  /** No more comments; `end` calls it. */
  stop(): void;
}

/** Proxies commonly give up after a minute of silence. */
const silenceMsMax = 15_000;

export function openEventStream(response: ServerResponse, silenceMs = silenceMsMax): EventStream {
  let hasBegun = false;
  const write = (text: string): boolean => {
    if (!hasBegun) {
      hasBegun = true;
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        // Proxies that collect what passes would hold tokens back.
        'x-accel-buffering': 'no',
      });
    }
    return response.write(text);
  };
  const comments = setInterval(() => void write(': waiting\n\n'), silenceMs);
  const stop = (): void => clearInterval(comments);
  return {
    get hasBegun() {
      return hasBegun;
    },
    send: async (value) => {
      comments.refresh();
      if (write(`data: ${JSON.stringify(value)}\n\n`) || response.destroyed) return;
      const left = new AbortController();
      try {
        await Promise.race([
          once(response, 'drain', { signal: left.signal }),
          once(response, 'close', { signal: left.signal }),
        ]);
      } finally {
        left.abort();
      }
    },
    end: () => {
      stop();
      write('data: [DONE]\n\n');
      response.end();
    },
    stop,
  };
}
