/**
 * Keeps one session to a hub: dials, greets, and when the link is lost dials again, waiting longer after each failure
 * up to a bound. Volunteers and submitters are back within five seconds of a hub's return.
 */

import type { Clock } from '../core/clock.ts';
import { reconnectMsMax, reconnectMsMin } from '../core/limits.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import type { Message } from '../protocol/messages.ts';
import type { Role } from '../protocol/messages.ts';
import type { Link } from '../protocol/ports.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';

/** A link, and whom it should lead to; anybody else at its far end is refused. */
export interface Dialled {
  readonly link: Link;
  readonly expect?: SessionOptions['expect'];
}

export interface ReconnectOptions {
  readonly dial: () => Promise<Dialled>;
  readonly identity: Identity;
  readonly role: Role;
  readonly verify: Verify;
  readonly clock: Clock;
  readonly linked: (session: Session) => void;
  readonly unlinked: (reason: string) => void;
  readonly message: (message: Message, tails: readonly Uint8Array[]) => void;
  /** Each failed attempt, with how often it failed in a row. */
  readonly failed?: (error: Error, attempts: number) => void;
}

export interface Reconnecting {
  session(): Session | undefined;
  close(reason: string): void;
}

export function keepConnected(options: ReconnectOptions): Reconnecting {
  let current: Session | undefined;
  let closed: string | undefined;
  let failures = 0;
  let cancelRetry = (): void => {};

  const retry = (): void => {
    if (closed !== undefined) return;
    const wait = Math.min(reconnectMsMax, reconnectMsMin * 2 ** Math.min(failures, 10));
    cancelRetry = options.clock.after(wait, connect);
  };

  const connect = (): void => {
    open().catch((error: unknown) => {
      failures++;
      options.failed?.(error instanceof Error ? error : new Error(String(error)), failures);
      retry();
    });
  };

  const open = async (): Promise<void> => {
    const { link, expect } = await options.dial();
    const session = await openSession(link, { ...options, expect: { roles: ['hub'], ...expect } });
    if (closed !== undefined) {
      session.close(closed);
      return;
    }
    failures = 0;
    current = session;
    session.onClose((reason) => {
      current = undefined;
      options.unlinked(reason);
      retry();
    });
    options.linked(session);
    session.onMessage(options.message);
  };

  connect();
  return {
    session: () => current,
    close: (reason) => {
      closed = reason;
      cancelRetry();
      current?.close(reason);
    },
  };
}
