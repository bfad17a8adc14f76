/** `tabswarm hub` and `npm start`: runs a hub until it is told to stop. SIGTERM and SIGINT drain it first. */

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expectInput, InputError } from '../../core/result.ts';
import { parseJson, v } from '../../core/schema.ts';
import { ownCertificate, readCertificate } from '../certificate.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { startHubServer, type HubServer } from '../hub-server.ts';
import { readOwnKeys } from '../openai/api-keys.ts';
import {
  addServeOptions,
  offerModel,
  placesText,
  tellWhenUp,
  type OfferedModel,
  type ServeFlags,
} from '../serve-model.ts';
import { siteFolder } from '../site-folder.ts';
import { numberOption, portOption } from './options.ts';
import type { Output } from '../output.ts';

interface HubFlags extends ServeFlags {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly https: boolean;
  readonly cert?: string;
  readonly key?: string;
  readonly ice?: string;
  readonly uploadLimit?: number;
  readonly apiKeyFile?: string;
  readonly open: boolean;
}

/** How long volunteers may finish what they hold after SIGTERM; what is left then is dealt again after the restart. */
const drainMsMax = 10_000;

export function register(program: Command, output: Output): void {
  const command = program
    .command('hub')
    .description('coordinate volunteers and submitters, and serve the site')
    .option('--port <number>', 'port to listen on; 0 takes a free one', portOption, 8787)
    .option('--host <address>', 'address to listen on; 0.0.0.0 lets other machines in', '127.0.0.1')
    .option('--data <folder>', 'where the log, chunks and keys are kept', defaultDataFolder())
    .option('--https', 'serve https: other machines have WebGPU in secure contexts only', false)
    .option('--cert <file>', 'certificate for --https (PEM); one is generated where it is left out')
    .option('--key <file>', 'its private key (PEM)')
    .option('--ice <file>', 'JSON list of ICE servers for WebRTC; none by default')
    .option('--upload-limit <MiB/s>', 'what chunks may take of the upload, MiB a second', numberOption(0.001, 100_000))
    .option('--api-key-file <file>', 'keys of the API, one on each line, beside those of tabswarm api-keys')
    .option('--open', 'open the site in this machine’s browser', false);
  addServeOptions(command).action((flags: HubFlags) => run(flags, output));
}

async function run(flags: HubFlags, output: Output): Promise<void> {
  // What people wrote is read before anything is opened.
  const https = await httpsOf(flags);
  const iceServers = flags.ice === undefined ? {} : { iceServers: await readIceServers(flags.ice) };
  const ownApiKeys = flags.apiKeyFile === undefined ? {} : { ownApiKeys: await readOwnKeys(flags.apiKeyFile) };
  const server = await startHubServer({
    port: flags.port,
    host: flags.host,
    data: flags.data,
    site: siteFolder(),
    ...https,
    ...iceServers,
    ...ownApiKeys,
    ...(flags.uploadLimit === undefined ? {} : { uploadBytesPerSecond: flags.uploadLimit * 2 ** 20 }),
    report: output.progress,
  });
  for (const line of await welcome(server, flags)) output.result(line);
  if (flags.open) openInBrowser(server.url, output);
  let model: OfferedModel | undefined;
  try {
    model = await serveOwn(server, flags, output);
  } catch (error) {
    await server.close();
    throw error;
  }
  await untilStopped(server, output, () => model?.handle.cancel());
}

/** The model that the hub offers itself; one of the same name that it offered before it was killed goes first. */
async function serveOwn(server: HubServer, flags: HubFlags, output: Output): Promise<OfferedModel | undefined> {
  if (flags.model === undefined) return undefined;
  const swarm = await server.api.swarm();
  const before = await swarm.submitter.answering.models();
  const model = await offerModel(swarm, flags);
  for (const { job, name } of before) if (name === model.name) swarm.cancel(job);
  output.result(`serves ${model.name} with ${placesText(model.plan)}; ask it at ${server.url}/v1`);
  tellWhenUp(model, output.progress);
  return model;
}

async function httpsOf(flags: HubFlags): Promise<{ https?: { cert: string; key: string } }> {
  if ((flags.cert === undefined) !== (flags.key === undefined))
    throw new InputError('--cert and --key go together: give both or none');
  if (!flags.https && flags.cert === undefined) return {};
  const given = flags.cert !== undefined && flags.key !== undefined;
  return { https: given ? await readCertificate(flags.cert, flags.key) : await ownCertificate(flags.data) };
}

const iceSchema = v.array(
  v.strictObject({
    urls: v.union([v.string(), v.array(v.string())]),
    username: v.exactOptional(v.string()),
    credential: v.exactOptional(v.string()),
  }),
);

async function readIceServers(path: string) {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new InputError(`--ice ${path}: cannot be read; give a JSON file like [{"urls": "stun:stun.example.org"}]`);
  });
  return expectInput(parseJson(iceSchema, text, path));
}

async function welcome(server: HubServer, flags: HubFlags): Promise<string[]> {
  const scheme = server.url.split(':')[0] ?? 'http';
  const reachable = flags.host === '0.0.0.0' || flags.host === '::' ? ownAddresses() : [];
  const invites = [server.url, ...reachable.map((address) => `${scheme}://${address}:${server.port}/`)];
  return [
    `tabswarm hub ${server.account.slice(0, 8)} is open; its data is in ${join(flags.data, '')}`,
    ...invites.map((url) => `invite volunteers: ${url}`),
    `submit jobs:       npx tabswarm submit JOB.json --hub ${server.url} --wait`,
    `OpenAI’s API:      ${server.url}/v1 ${(await server.api.hasKeys()) ? '(with a key)' : '(this machine only; npx tabswarm api-keys --add NAME lets others in)'}`,
    ...(reachable.length > 0 && scheme === 'http'
      ? ['note: browsers on other machines have WebGPU over https only; start with --https or put a proxy in front']
      : []),
  ];
}

/** With whatever the system opens addresses; a machine without a desktop has none, and the address was printed. */
function openInBrowser(url: string, output: Output): void {
  const [command, ...before] =
    process.platform === 'darwin' ? ['open'] : process.platform === 'win32' ? ['cmd', '/c', 'start', ''] : ['xdg-open'];
  const opener = spawn(command ?? 'xdg-open', [...before, url], { stdio: 'ignore', detached: true });
  opener.on('error', () => output.progress(`no browser could be opened; open ${url} yourself`));
  opener.unref();
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((one) => one.family === 'IPv4' && !one.internal)
    .map((one) => one.address);

async function untilStopped(server: HubServer, output: Output, stopping: () => void): Promise<void> {
  const signal = new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  const why = await Promise.race([signal, server.hub.broken]);
  stopping();
  output.progress(`${why}: no new leases; waiting for what volunteers hold`);
  await server.hub.drain(drainMsMax);
  await server.close();
}
