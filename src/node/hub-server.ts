/**
 * The hub in Node: the static site, signalling, sockets, OpenAI's API and `/healthz` on one HTTP server; the log in PGlite and chunks
 * as files under the data folder, which one process owns at a time. It is a peer of its own signalling server, reached
 * over the loopback, so that volunteers come by WebRTC and submitters by WebSocket to one coordinator.
 */

import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { openPeerListener } from '../adapters/net/peer-link.ts';
import { createSqlStore } from '../adapters/store/sql-store.ts';
import { startHub, type RunningHub } from '../assembly/hub.ts';
import { assert } from '../core/assert.ts';
import { manifestOfJob, type AccountId, type JobId } from '../core/ids.ts';
import { createRandom } from '../core/prng.ts';
import { decodeManifest } from '../protocol/manifest.ts';
import type { ChunkStore } from '../protocol/ports.ts';
import { createSignalToken, signalKey } from '../protocol/signal-token.ts';
import { protocolVersion } from '../protocol/versions.ts';
import type { HubView } from '../swarm/hub.ts';
import { openFileChunks } from './file-chunks.ts';
import { answerJson, checkPort, startHttpServer } from './http-server.ts';
import { loadAccountKeyFile } from './identity-file.ts';
import { lockDataFolder } from './lock-file.ts';
import { createHubApi, type HubApi } from './openai/hub-api.ts';
import { installRtcGlobals } from './net/rtc-globals.ts';
import { createSignalling } from './net/signalling.ts';
import { createSocketListener } from './net/socket-listener.ts';
import { attachUpgrades, type UpgradeRoute } from './net/upgrades.ts';
import { openPglite } from './pglite.ts';

export interface HubServerOptions {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly site: string;
  readonly https?: { readonly cert: string; readonly key: string };
  readonly iceServers?: readonly {
    readonly urls: string | string[];
    readonly username?: string;
    readonly credential?: string;
  }[];
  /** Chunks go out no faster than this, all peers together; no cap where it is left out. */
  readonly uploadBytesPerSecond?: number;
  /** Hashes of API keys beside those of the data folder. */
  readonly ownApiKeys?: ReadonlySet<string>;
  readonly report: (line: string) => void;
}

export interface HubServer {
  readonly hub: RunningHub;
  readonly port: number;
  readonly url: string;
  readonly account: string;
  /** OpenAI's API, and the hub as its own submitter. */
  readonly api: Pick<HubApi, 'swarm' | 'hasKeys'>;
  close(): Promise<void>;
}

const iceServersDefault: NonNullable<HubServerOptions['iceServers']> = [];

export async function startHubServer(options: HubServerOptions): Promise<HubServer> {
  // A taken port is told before a database is made for nothing.
  await checkPort(options.port, options.host);
  await mkdir(options.data, { recursive: true });
  const lock = await lockDataFolder(options.data);
  const cleanup: (() => Promise<void> | void)[] = [() => lock.release()];
  const closeAll = async (): Promise<void> => {
    for (const close of cleanup.splice(0).toReversed()) await close();
  };
  try {
    const accountKey = await loadAccountKeyFile(options.data);
    const identity = await createIdentity({ accountKey });
    const store = await createSqlStore(await openPglite(join(options.data, 'log')));
    cleanup.push(() => store.close());
    const chunks = await openFileChunks({ folder: join(options.data, 'chunks'), digestBytes: sha256Large });
    cleanup.push(() => chunks.close());

    const api = createHubApi({
      data: options.data,
      accountKey,
      hub: identity.peer,
      chunks,
      ...(options.ownApiKeys === undefined ? {} : { ownKeys: options.ownApiKeys }),
      report: options.report,
    });

    let view: () => HubView | undefined = () => undefined;
    const submitterOf = createSubmitterOf(chunks);
    const signalling = createSignalling({ path: '/signal' });
    const sockets = createSocketListener({ path: '/socket' });
    const server = await startHttpServer({
      port: options.port,
      host: options.host,
      ...(options.https === undefined ? {} : { https: options.https }),
      siteFolder: options.site,
      health: () => healthOf(view()),
      bootstrap: () => ({
        version: protocolVersion,
        peer: identity.peer,
        account: identity.account,
        signal: { url: 'signal' },
        socket: 'socket',
        iceServers: options.iceServers ?? iceServersDefault,
      }),
      routes: [
        { path: '/swarm.json', handle: (_request, response) => answerJson(response, 200, swarmOf(view())) },
        { path: '/signal', handle: signalling.httpHandler },
        {
          path: '/jobs.json',
          handle: (_request, response) =>
            void announcedJobs(view(), submitterOf).then((answer) => answerJson(response, 200, answer)),
        },
        api.route,
      ],
      upgrades: [signalling.route, sockets.route],
    });
    cleanup.push(
      () => server.close(),
      () => signalling.close(),
    );

    await installRtcGlobals();
    // The hub reaches its own signalling over plain loopback: its certificate may be one that it does not trust itself.
    const loopback = await startLoopback([signalling.route]);
    cleanup.push(() => loopback.close());
    const peers = await openPeerListener({
      peer: identity.peer,
      token: () => createSignalToken(identity, systemClock.now()),
      signal: { host: '127.0.0.1', port: loopback.port, path: '/signal', key: signalKey, secure: false },
      iceServers: (options.iceServers ?? iceServersDefault).map((one) => ({ ...one })),
    });
    cleanup.push(
      () => peers.close(),
      () => sockets.close(),
    );
    const hub = await startHub({
      identity,
      verify: verifySignature,
      digestOf: sha256Large,
      store,
      chunks,
      listeners: [peers, sockets, api.listener],
      clock: systemClock,
      random: createRandom(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)),
      unixSeconds: () => Math.floor(Date.now() / 1000),
      ...(options.uploadBytesPerSecond === undefined ? {} : { uploadBytesPerSecond: options.uploadBytesPerSecond }),
      report: options.report,
    });
    view = () => hub.view();
    cleanup.push(
      () => hub.close(),
      () => api.close(),
    );
    return { hub, port: server.port, url: server.url, account: identity.account, api, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** A server of this process for itself. */
async function startLoopback(
  routes: readonly UpgradeRoute[],
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer((_request, response) => response.writeHead(404).end());
  const detach = attachUpgrades(server, routes);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert(typeof address === 'object' && address !== null, 'a listening server has an address');
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        detach();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What `#/swarm` shows: who helps and how the newest jobs go. */
const swarmOf = (view: HubView | undefined) => ({
  volunteers: (view?.volunteers ?? [])
    .filter((one) => one.role === 'volunteer')
    .slice(0, shownMax)
    .map(({ peer, account, device, leases }) => ({ peer, account, device, leases })),
  accounts: (view?.accounts ?? [])
    .map(({ account, agreed, excluded }) => ({ account, agreed, excluded }))
    .slice(0, shownMax),
  jobs: (view?.jobs ?? []).slice(-announcedJobsMax),
});
/** Volunteers and accounts in one answer; a page of more would show nothing to anybody. */
const shownMax = 1_000;

const healthOf = (view: HubView | undefined) => ({
  ok: view !== undefined,
  draining: view?.draining ?? false,
  volunteers: view?.volunteers.filter((one) => one.role === 'volunteer').length ?? 0,
  jobs: view?.jobs.filter((job) => job.state === 'running' || job.state === 'waiting').length ?? 0,
});

/** What people see before they press Start: names, states and who asked, no inputs. */
async function announcedJobs(view: HubView | undefined, submitterOf: SubmitterOf): Promise<object> {
  const jobs = (view?.jobs ?? []).slice(-announcedJobsMax);
  return {
    jobs: await Promise.all(
      jobs.map(async ({ job, name, program, state, units, accepted }) => ({
        job,
        name,
        program,
        state,
        units,
        accepted,
        submitter: await submitterOf(job),
      })),
    ),
  };
}

/** The newest ones. */
const announcedJobsMax = 100;

/** The account that a job is for; null where its manifest cannot be read. */
type SubmitterOf = (job: JobId) => Promise<AccountId | null>;

/** Only the manifest names the submitter, and the store has it; each is read once. */
function createSubmitterOf(chunks: ChunkStore): SubmitterOf {
  const known = new Map<JobId, AccountId>();
  return async (job) => {
    const before = known.get(job);
    if (before !== undefined) return before;
    const bytes = await chunks.get(manifestOfJob(job)).catch(() => undefined);
    const manifest = bytes === undefined ? undefined : decodeManifest(bytes);
    if (manifest?.ok !== true) return null;
    known.set(job, manifest.value.submitter);
    return manifest.value.submitter;
  };
}
