/** A hub under a test's hand: inputs in, effects out, every fact kept; results are named by letters. For tests only. */

import type { AccountId, Digest, JobId, PeerId } from '../core/ids.ts';
import { jobOfManifest } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import { createRandom } from '../core/prng.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Lease, LeaseKey, Message, MessageOf, MessageType, Role } from '../protocol/messages.ts';
import { createHub, restoreHub, type HubMachine } from './hub.ts';
import type { HubEffect, HubInput, HubStep } from './step.ts';

export const digestNamed = (name: string): Digest => name.padEnd(64, '0') as Digest;
export const accountNamed = (name: string): AccountId => name.padEnd(64, 'a') as AccountId;
export const peerNamed = (name: string): PeerId => name.padEnd(32, 'c') as PeerId;
export const jobOne: JobId = jobOfManifest(digestNamed('b1'));
export const submitterAccount = accountNamed('e0');

const device = {
  deviceClass: 'test',
  fallback: false,
  features: [],
  bindingBytesMax: 2 ** 27,
  bufferBytesMax: 2 ** 27,
};

export class TestHub {
  now = 1_000;
  hub: HubMachine;
  /** What the log holds, by stream. */
  readonly log = new Map<string, Json[]>();
  readonly uniques = new Set<string>();
  effects: HubEffect[] = [];

  constructor() {
    this.hub = createHub({ random: createRandom(1) });
  }

  input(input: HubInput): this {
    return this.take(this.hub.receive(input, this.now));
  }

  /** Lets time pass in steps of a second, with a tick after each. */
  pass(seconds: number): this {
    for (let second = 0; second < seconds; second++) {
      this.now += 1_000;
      this.take(this.hub.tick(this.now));
    }
    return this;
  }

  connect(name: string, options: { role?: Role; account?: string; block?: string } = {}): this {
    const { role = 'volunteer', account = name, block = 'unknown' } = options;
    const who = role === 'submitter' ? submitterAccount : accountNamed(account);
    return this.input({ type: 'connected', peer: peerNamed(name), account: who, role, addressBlock: block });
  }

  /** A volunteer that is there and asks for work. */
  join(
    name: string,
    options: { account?: string; block?: string; slots?: number; bindingBytes?: number; numericClass?: string } = {},
  ): this {
    this.connect(name, options);
    const bindingBytesMax = options.bindingBytes ?? device.bindingBytesMax;
    const told = options.numericClass === undefined ? {} : { numericClass: options.numericClass };
    this.say(name, { type: 'ready', device: { ...device, bindingBytesMax, ...told }, speeds: {} });
    return this.pull(name, options.slots ?? 1);
  }

  pull(name: string, slots: number): this {
    return this.say(name, { type: 'pull', slots });
  }

  say(name: string, message: Message): this {
    return this.input({ type: 'message', from: peerNamed(name), message });
  }

  lose(name: string): this {
    return this.input({ type: 'lost', peer: peerNamed(name) });
  }

  submit(manifest: Manifest, job = jobOne): this {
    this.connect('5ub', { role: 'submitter' });
    return this.offer(manifest, job);
  }

  offer(manifest: Manifest, job: JobId, from = '5ub'): this {
    const offered = { job, manifest, missing: [], signature: '', unixSeconds: 0 };
    return this.input({ type: 'submitted', from: peerNamed(from), ...offered });
  }

  /** A volunteer returns a result; `value` stands for its bytes. */
  finish(name: string, lease: LeaseKey, value: string): this {
    const { job, unit, attempt } = lease;
    const result = { type: 'result', job, unit, attempt, digest: digestNamed(value), seconds: 1 } as const;
    return this.say(name, { ...result, receipt: `${name} ${value}`, signature: '' });
  }

  /** Everything sent to this peer of one kind since the last look at it, and removes it. */
  sent<Type extends MessageType>(name: string, type: Type): MessageOf<Type>[] {
    const found: MessageOf<Type>[] = [];
    this.effects = this.effects.filter((effect) => {
      if (effect.type !== 'send' || effect.to !== peerNamed(name) || effect.message.type !== type) return true;
      found.push(effect.message as MessageOf<Type>);
      return false;
    });
    return found;
  }

  leases(name: string): Lease[] {
    return this.sent(name, 'lease').flatMap(({ leases }) => leases);
  }

  taken<Type extends HubEffect['type']>(type: Type): Extract<HubEffect, { type: Type }>[] {
    const isWanted = (effect: HubEffect): effect is Extract<HubEffect, { type: Type }> => effect.type === type;
    const found = this.effects.filter(isWanted);
    this.effects = this.effects.filter((effect) => !isWanted(effect));
    return found;
  }

  facts(type: string, stream: string = jobOne): Json[] {
    return (this.log.get(stream) ?? []).filter((fact) => (fact as { type?: string }).type === type);
  }

  state(job = jobOne) {
    return this.hub.view().jobs.find((state) => state.job === job);
  }

  /** The process dies and comes back with its log; with `compact`, from snapshots. */
  restart(compact = false): this {
    const streams = [...this.log].map(([stream, facts]) =>
      compact
        ? { stream, snapshot: JSON.parse(JSON.stringify(this.hub.snapshot(stream))) as Json, facts: [] }
        : { stream, snapshot: undefined, facts: JSON.parse(JSON.stringify(facts)) as Json[] },
    );
    const { hub, step } = restoreHub({ random: createRandom(2) }, streams, this.now);
    this.hub = hub;
    this.effects = [];
    return this.take(step);
  }

  private take(step: HubStep): this {
    for (const { stream, fact, unique } of step.records) {
      this.log.set(stream, [...(this.log.get(stream) ?? []), fact]);
      if (unique === undefined) continue;
      if (this.uniques.has(unique)) throw new Error(`the store refuses a second ${unique}`);
      this.uniques.add(unique);
    }
    this.effects.push(...step.effects);
    return this;
  }
}
