/**
 * The suite `hub`: units a second through a whole hub with four tabs and a kernel that does nothing, and what the pure parts
 * manage alone: leases and results of the hub's machine in memory, events of the simulator.
 */

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '../src/core/prng.ts';
import { jobOfManifest, type AccountId, type Digest, type PeerId } from '../src/core/ids.ts';
import { openLocalSwarm, type LocalSwarm } from '../src/node/local-swarm.ts';
import { root } from '../src/node/prepare.mjs';
import { connect } from '../src/node/sdk.ts';
import type { Lease } from '../src/protocol/messages.ts';
import { simCommand } from '../src/sim/sim-command.ts';
import { createHub } from '../src/swarm/hub.ts';
import { sampleManifest } from '../src/swarm/sample-manifests.ts';
import type { HubInput } from '../src/swarm/step.ts';
import { measure, type Case, type MeasuredCase } from './measure.ts';
import { sentenceOf } from './report.ts';

/** What the project wants of itself, by case. */
export const hubAims: Readonly<Record<string, number>> = {
  unitsPerSecond: 300,
  leasesAndResults: 20_000,
  simulatorEvents: 200_000,
};

export async function measureHub(rounds: number, say: (line: string) => void): Promise<readonly MeasuredCase[]> {
  const now = (): number => performance.now() / 1000;
  const measured: MeasuredCase[] = [];
  const race = async (one: Case, warmUps: number): Promise<void> => {
    measured.push(await measure(one, rounds, now, warmUps));
    say(sentenceOf(measured.at(-1) as MeasuredCase));
  };
  await race(rate('leasesAndResults', 'leases and results/s', leasesAndResults), 1);
  await race(rate('simulatorEvents', 'events/s', simulatorEvents), 1);
  const data = await mkdtemp(join(tmpdir(), 'tabswarm-bench-'));
  let swarm: LocalSwarm | undefined;
  try {
    await mkdir(data, { recursive: true });
    swarm = await openLocalSwarm({ tabs: 4, report: say });
    const { url } = swarm.server;
    await race(
      rate('unitsPerSecond', 'units/s', () => emptyUnits(url, data)),
      1,
    );
  } finally {
    await swarm?.close();
    await rm(data, { recursive: true, force: true });
  }
  return measured;
}

const rate = (name: string, unit: string, run: () => number | Promise<number>): Case => ({
  name,
  unit,
  better: 'higher',
  scale: 1,
  contenders: [{ name: 'ours', run }],
});

const unitsOfJob = 600;

/** A job of units that do nothing, from its submission until the last result is here; one replica, so a unit is one lease. */
async function emptyUnits(hub: string, data: string): Promise<number> {
  const shader = await readFile(join(root, 'bench', 'empty.wgsl'), 'utf8');
  const swarm = await connect(hub, { data });
  try {
    const job = await swarm.submit(
      {
        version: 1,
        name: `empty ${performance.now()}`,
        program: 'shader',
        shader: 'empty.wgsl',
        buffers: [{ binding: 0, kind: 'output', type: 'u32', count: 1 }],
        grid: [1, 1, 1],
        units: { count: unitsOfJob },
        verify: { replicas: 1, absolute: 0, relative: 0 },
      },
      { files: { 'empty.wgsl': shader } },
    );
    let units = 0;
    for await (const { outputs } of job) units += outputs.length > 0 ? 1 : 0;
    return units;
  } finally {
    await swarm.close();
  }
}

const hex = (first: string, index: number, length: number): string =>
  first + index.toString(16).padStart(length - 1, '0');

/** The hub's machine with 64 volunteers, each of which returns what it is lent at once: nothing is signed, sent or stored. */
function leasesAndResults(): number {
  const hub = createHub({ random: createRandom(1) });
  const submitter = hex('e', 0, 64) as AccountId;
  const volunteers = Array.from({ length: 64 }, (_, index) => hex('a', index, 32) as PeerId);
  const waiting: { readonly peer: PeerId; readonly lease: Lease }[] = [];
  let now = 0;
  let done = 0;
  const give = (input: HubInput): void => {
    for (const effect of hub.receive(input, now).effects) {
      if (effect.type !== 'send' || effect.message.type !== 'lease') continue;
      for (const lease of effect.message.leases) waiting.push({ peer: effect.to, lease });
      done += effect.message.leases.length;
    }
  };
  const device = {
    deviceClass: 'bench',
    fallback: false,
    features: [],
    bindingBytesMax: 2 ** 27,
    bufferBytesMax: 2 ** 27,
  };
  for (const [index, peer] of volunteers.entries()) {
    const account = hex('b', index, 64) as AccountId;
    give({ type: 'connected', peer, account, role: 'volunteer', addressBlock: '127.0.0.0/8' });
    give({ type: 'message', from: peer, message: { type: 'ready', device, speeds: {} } });
  }
  const from = hex('d', 0, 32) as PeerId;
  give({ type: 'connected', peer: from, account: submitter, role: 'submitter', addressBlock: '127.0.0.0/8' });
  const manifest = sampleManifest({ units: 10_000, replicas: 1, unitSeconds: 1 }, submitter);
  const job = jobOfManifest(hex('f', 0, 64) as Digest);
  give({ type: 'submitted', from, job, manifest, missing: [], signature: '', unixSeconds: 0 });
  for (const peer of volunteers) give({ type: 'message', from: peer, message: { type: 'pull', slots: 8 } });
  const digest = hex('c', 0, 64) as Digest;
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { peer, lease } = next;
    now += 0.1;
    const { unit, attempt } = lease;
    const result = { type: 'result', job, unit, attempt, digest, seconds: 0.01, receipt: '', signature: '' } as const;
    give({ type: 'message', from: peer, message: result });
    done += 1;
    give({ type: 'message', from: peer, message: { type: 'pull', slots: 1 } });
  }
  return done;
}

function simulatorEvents(): number {
  const report = simCommand({ volunteers: 100, units: 5_000 }, () => performance.now());
  if (!report.ok) throw new Error(report.error.text);
  if (report.value.invariants !== 'held') throw new Error(report.value.invariants);
  return report.value.events;
}
