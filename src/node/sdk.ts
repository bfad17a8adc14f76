/**
 * The SDK in Node, chosen by the export condition `node`: reaches hubs over a WebSocket and needs nothing but `ws`. The
 * account key lies in a data folder, so that a program that starts again can still cancel and follow its jobs.
 */

import { randomBytes } from 'node:crypto';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import { dialSocketHub } from '../assembly/dial-socket-hub.ts';
import type { CheckShader } from '../assembly/job.ts';
import { openSwarm, type Swarm } from '../assembly/swarm.ts';
import { expectInput } from '../core/result.ts';
import { parseHubAddress } from '../protocol/hub-address.ts';
import { defaultDataFolder, loadAccountKeyFile } from './identity-file.ts';
import { dialNodeSocketLink } from './net/dial-socket.ts';

export type { MapJob, MapResult, SubmitOptions, Swarm, SwarmJob, UnitResult } from '../assembly/swarm.ts';
export type { UnitOutput } from '../assembly/job.ts';
export type { ShaderJobInput } from '../protocol/job-file.ts';
export type { JobState } from '../protocol/messages.ts';
export { InputError } from '../core/result.ts';
export { JobRefusedError } from '../assembly/submitter.ts';
export { LinkClosedError } from '../protocol/ports.ts';

export interface ConnectOptions {
  /** Where the account key lies; made where there is none. */
  readonly data?: string;
  readonly check?: CheckShader;
}

/** Connects to a hub by its URL, `http(s)://host[:port][/path]`. */
export async function connect(hub: string, options: ConnectOptions = {}): Promise<Swarm> {
  const address = expectInput(parseHubAddress(hub));
  const accountKey = await loadAccountKeyFile(options.data ?? defaultDataFolder());
  return openSwarm({
    identity: await createIdentity({ accountKey }),
    verify: verifySignature,
    digestOf: sha256Large,
    clock: systemClock,
    chunks: createMemoryChunks({ digestBytes: sha256Large }),
    dial: () => dialSocketHub(address, dialNodeSocketLink),
    randomBytes,
    unixSeconds: () => Math.floor(Date.now() / 1000),
    ...(options.check === undefined ? {} : { check: options.check }),
  });
}
