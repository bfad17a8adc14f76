/**
 * For tests of served models: a hub's machine with volunteers around it that run the real volunteer and stage machines on the toy
 * network, and those who ask. Messages travel in order between two ends and in any order otherwise; neighbours speak now over a
 * link of their own and now through the hub, so that words overtake each other. Everything is drawn from one seed.
 */

import { assert } from '../core/assert.ts';
import type { PeerId } from '../core/ids.ts';
import { headerBytesMax } from '../core/limits.ts';
import type { Random } from '../core/prng.ts';
import { expectInput } from '../core/result.ts';
import {
  createPipelineStage,
  type PipelineStage,
  type StageInput,
  type StageOutput,
} from '../inference/pipeline-stage.ts';
import { createToyDevice, toyWidth, type ToyDevice } from '../inference/toy-network.fixture.ts';
import type { ServePlan } from '../protocol/manifest.ts';
import { parseMessage, type Lease, type LeaseKey, type Message, type MessageOf } from '../protocol/messages.ts';
import { programSetVersion } from '../protocol/versions.ts';
import { servedManifest } from './served-manifest.fixture.ts';
import { jobOne, peerNamed, TestHub } from './test-hub.ts';
import { createVolunteer, type VolunteerEffect, type VolunteerInput, type VolunteerMachine } from './volunteer.ts';

/** What a volunteer runs of the model. */
interface RunningStage {
  readonly lease: Lease;
  readonly machine: PipelineStage;
  readonly device: ToyDevice;
  previous: PeerId | undefined;
  next: PeerId | undefined;
  /** Something came since it last had nothing to compute. */
  isBusy: boolean;
}

export interface Volunteer {
  readonly name: string;
  readonly machine: VolunteerMachine;
  stage: RunningStage | undefined;
  isLinked: boolean;
  /** Changes what the volunteer says before it is sent; undefined leaves it unsaid. */
  lie:
    | ((message: Message, values: Float32Array | undefined) => { message: Message; values?: Float32Array } | undefined)
    | undefined;
}

/** One request as its asker sees it. */
export interface Asked {
  readonly from: string;
  readonly ask: MessageOf<'ask'>;
  readonly tokens: Map<number, number[]>;
  /** Each sample's alternatives, token after token. */
  readonly tops: Map<number, (readonly [number, number])[][]>;
  readonly finished: Map<number, string>;
  readonly stopped: Set<number>;
  answered: MessageOf<'answered'> | undefined;
  refused: MessageOf<'ask-refused'> | undefined;
  /** Its asker went away, or the hub died. */
  isLost: boolean;
}

interface Letter {
  /** Letters of one channel keep their order. */
  readonly channel: string;
  readonly arrive: () => void;
}

const device = {
  deviceClass: 'toy',
  fallback: false,
  features: [],
  bindingBytesMax: 2 ** 27,
  bufferBytesMax: 2 ** 27,
};

export class ServedWorld {
  readonly hub = new TestHub();
  readonly plan: ServePlan;
  readonly volunteers = new Map<string, Volunteer>();
  readonly asked: Asked[] = [];
  private readonly random: Random;
  private mail: Letter[] = [];
  private names = 0;
  private ids = 0;
  private readonly rowsMax: number;
  private readonly linkedAskers = new Set<string>();

  constructor(random: Random, plan: Partial<ServePlan> = {}) {
    this.random = random;
    const manifest = servedManifest(plan);
    this.plan = manifest.serve;
    this.rowsMax = 1 + random.below(8);
    this.hub.submit(manifest);
    this.route();
  }

  // Volunteers come and go

  join(options: { account?: string; lie?: Volunteer['lie'] } = {}): Volunteer {
    const name = `b${(this.names++).toString(16).padStart(3, '0')}`;
    const machine = createVolunteer({ device, programVersion: programSetVersion });
    const volunteer: Volunteer = { name, machine, stage: undefined, isLinked: false, lie: options.lie };
    this.volunteers.set(name, volunteer);
    this.give(volunteer, { type: 'start' });
    this.link(volunteer, options.account ?? name);
    return volunteer;
  }

  link(volunteer: Volunteer, account = volunteer.name): void {
    volunteer.isLinked = true;
    this.hub.connect(volunteer.name, { account });
    this.route();
    this.give(volunteer, { type: 'linked' });
  }

  /** The link to the hub breaks; what was on its way is lost. */
  unlink(volunteer: Volunteer): void {
    volunteer.isLinked = false;
    this.dropMail(`${volunteer.name} hub`, `hub ${volunteer.name}`);
    this.hub.lose(volunteer.name);
    this.route();
    this.give(volunteer, { type: 'unlinked' });
  }

  /** Its owner closes the tab without a word. */
  kill(volunteer: Volunteer): void {
    this.volunteers.delete(volunteer.name);
    for (const { channel } of this.mail) if (channel.endsWith(` ${volunteer.name}`)) this.dropMail(channel);
    this.unlink(volunteer);
  }

  give(volunteer: Volunteer, input: VolunteerInput): void {
    for (const effect of volunteer.machine.receive(input, this.hub.now)) this.perform(volunteer, effect);
  }

  // Who asks

  ask(from: string, request: Partial<MessageOf<'ask'>> = {}): Asked {
    const ask: MessageOf<'ask'> = {
      type: 'ask',
      id: (++this.ids).toString(16).padStart(32, '0'),
      job: jobOne,
      promptTokens: [1, 2, 3],
      firstSample: 0,
      samples: 1,
      maxTokens: 8,
      temperature: 1,
      topP: 1,
      topK: 0,
      seed: 1,
      stopTokens: [],
      topLogprobs: 0,
      ...request,
    };
    const asked: Asked = {
      from,
      ask,
      tokens: new Map(),
      tops: new Map(),
      finished: new Map(),
      stopped: new Set(),
      answered: undefined,
      refused: undefined,
      isLost: false,
    };
    this.asked.push(asked);
    if (!this.linkedAskers.has(from)) this.hub.connect(from, { role: 'submitter' });
    this.linkedAskers.add(from);
    this.tellHub(from, ask);
    return asked;
  }

  stop(asked: Asked, samples?: readonly number[]): void {
    const { id, firstSample, samples: count } = asked.ask;
    const all = Array.from({ length: count }, (_, index) => firstSample + index);
    for (const sample of samples ?? all) asked.stopped.add(sample);
    this.tellHub(asked.from, { type: 'ask-stop', id, ...(samples === undefined ? {} : { samples: [...samples] }) });
  }

  leave(from: string): void {
    this.linkedAskers.delete(from);
    for (const asked of this.asked) if (asked.from === from && asked.answered === undefined) asked.isLost = true;
    this.hub.lose(from);
    this.route();
  }

  /** The hub's process dies and comes back with its log. */
  restart(compact = false): void {
    for (const volunteer of this.volunteers.values()) {
      volunteer.isLinked = false;
      this.dropMail(`${volunteer.name} hub`, `hub ${volunteer.name}`);
      this.give(volunteer, { type: 'unlinked' });
    }
    for (const asked of this.asked) if (asked.answered === undefined) asked.isLost = true;
    this.linkedAskers.clear();
    this.hub.restart(compact);
    for (const volunteer of this.volunteers.values()) this.link(volunteer);
  }

  // Time

  /** One letter arrives, or one stage computes. False when all is quiet. */
  step(): boolean {
    const channels = [...new Set(this.mail.map(({ channel }) => channel))];
    const busy = [...this.volunteers.values()].filter(({ stage }) => stage?.isBusy === true);
    const choices = channels.length + busy.length;
    if (choices === 0) return false;
    const choice = this.random.below(choices);
    const channel = channels[choice];
    if (channel === undefined) {
      const volunteer = busy[choice - channels.length];
      if (volunteer?.stage !== undefined) this.compute(volunteer, volunteer.stage);
      return true;
    }
    const index = this.mail.findIndex((letter) => letter.channel === channel);
    this.mail.splice(index, 1)[0]?.arrive();
    return true;
  }

  steps(count: number): void {
    for (let step = 0; step < count && this.step(); step++);
  }

  /** A second passes. */
  tick(): void {
    for (const volunteer of this.volunteers.values()) {
      for (const effect of volunteer.machine.tick(this.hub.now)) this.perform(volunteer, effect);
    }
    this.hub.pass(1);
    this.route();
  }

  /** Until nothing moves, for so many seconds. */
  settle(seconds = 3): void {
    for (let second = 0; second < seconds; second++) {
      let steps = 0;
      while (this.step()) assert(++steps < 100_000, 'the world does not come to rest');
      this.tick();
    }
    while (this.step());
  }

  state() {
    const state = this.hub.state();
    assert(state !== undefined, 'the hub knows the model');
    return state;
  }

  placed(): Volunteer[] {
    return [...this.volunteers.values()].filter(({ stage }) => stage !== undefined);
  }

  openCaches(): number {
    return this.placed().reduce((sum, { stage }) => sum + (stage?.device.open() ?? 0), 0);
  }

  /** The volunteer that computes this stage, as the hub says to those who ask. */
  holderOf(stage: number, pipeline = 0): Volunteer | undefined {
    return this.placed().find(({ stage: own }) => {
      const lease = own?.lease.stage;
      const { stages } = this.plan;
      const isWired = own?.previous !== undefined || own?.next !== undefined || stages === 1;
      return lease?.stage === stage && lease.pipeline === pipeline && isWired;
    });
  }

  // What is said

  tellHub(from: string, message: Message, values?: Float32Array): void {
    const said = checked(message);
    this.post(`${from} hub`, () => {
      const to = 'to' in said ? said.to : undefined;
      if (to === undefined) {
        this.hub.say(from, said);
        this.route();
        return;
      }
      if (!this.hub.hub.mayRelay(peerNamed(from), to, jobOne)) return;
      const { to: _to, ...rest } = said as MessageOf<'stage-rows'>;
      this.deliver(to, checked({ ...rest, from: peerNamed(from) }), 'hub', values);
    });
  }

  private route(): void {
    for (const effect of this.hub.effects.splice(0)) {
      if (effect.type !== 'send') continue;
      const { to, message } = effect;
      if (this.named(to) === undefined) this.answer(to, checked(message));
      else this.deliver(to, checked(message), 'hub');
    }
  }

  private named(peer: PeerId): Volunteer | undefined {
    return [...this.volunteers.values()].find(({ name }) => peerNamed(name) === peer);
  }

  private deliver(to: PeerId, message: Message, by: string, values?: Float32Array): void {
    const volunteer = this.named(to);
    if (volunteer === undefined) return;
    this.post(`${by} ${volunteer.name}`, () => this.hear(volunteer, message, by, values));
  }

  private post(channel: string, arrive: () => void): void {
    this.mail.push({ channel, arrive });
  }

  private dropMail(...channels: string[]): void {
    this.mail = this.mail.filter(({ channel }) => !channels.includes(channel));
  }

  private answer(to: PeerId, message: Message): void {
    if (message.type !== 'answer' && message.type !== 'answered' && message.type !== 'ask-refused') return;
    const asked = this.asked.find(({ from, ask }) => peerNamed(from) === to && ask.id === message.id);
    assert(asked !== undefined, 'an answer to nobody');
    if (asked.isLost) return;
    assert(asked.answered === undefined && asked.refused === undefined, 'something came after the last word');
    if (message.type === 'answered') asked.answered = message;
    else if (message.type === 'ask-refused') asked.refused = message;
    else {
      for (const { sample, token, top } of message.tokens) {
        assert(!asked.finished.has(sample), `sample ${sample} goes on after its end`);
        asked.tops.set(sample, [...(asked.tops.get(sample) ?? []), top]);
        asked.tokens.set(sample, [...(asked.tokens.get(sample) ?? []), token]);
      }
      for (const { sample, reason } of message.finished) asked.finished.set(sample, reason);
    }
  }

  // What volunteers do

  private perform(volunteer: Volunteer, effect: VolunteerEffect): void {
    switch (effect.type) {
      case 'send':
        return this.tellHub(volunteer.name, effect.message);
      case 'compute':
        return this.begin(volunteer, effect.lease);
      case 'abort':
        if (isSame(volunteer.stage?.lease, effect.lease)) volunteer.stage = undefined;
        return;
      default:
    }
  }

  private begin(volunteer: Volunteer, lease: Lease): void {
    const { stage: index, stages } = lease.stage ?? { stage: 0, stages: 1 };
    const ends = { isFirst: index === 0, isLast: index === stages - 1 };
    const stage: RunningStage = {
      lease,
      machine: createPipelineStage({ ...ends, width: toyWidth, rowsMax: this.rowsMax, stages }),
      device: createToyDevice({ stage: index, stages }, 2 * this.plan.sequences),
      previous: undefined,
      next: undefined,
      isBusy: false,
    };
    volunteer.stage = stage;
    // Weights take their time.
    this.post(`weights ${volunteer.name}`, () => {
      if (volunteer.stage !== stage) return;
      const { job, unit, attempt } = lease;
      this.speak(volunteer, { type: 'stage-ready', job, unit, attempt, bytes: 1000 });
    });
  }

  private hear(volunteer: Volunteer, message: Message, by: string, values?: Float32Array): void {
    const { stage } = volunteer;
    if (!message.type.startsWith('stage-')) return this.give(volunteer, { type: 'message', message });
    if (stage === undefined) return;
    const word = wordOf(stage, message, by === 'hub' ? undefined : peerNamed(by), values);
    if (word === undefined) return;
    if (word.type === 'wired') Object.assign(stage, { previous: word.previous, next: word.next });
    stage.isBusy = true;
    this.say(volunteer, stage, stage.machine.receive(word));
  }

  private compute(volunteer: Volunteer, stage: RunningStage): void {
    const batch = stage.machine.next();
    if (batch === undefined) stage.isBusy = false;
    else this.say(volunteer, stage, stage.machine.computed(batch, stage.device.run(batch)));
  }

  private say(volunteer: Volunteer, stage: RunningStage, outputs: readonly StageOutput[]): void {
    const { job, unit, attempt } = stage.lease;
    for (const output of outputs) {
      if (output.type === 'rows') {
        this.speak(
          volunteer,
          { type: 'stage-rows', job, rows: output.rows.map(([a, b]) => [a, b]) },
          stage.next,
          output.values,
        );
      } else if (output.type === 'want') {
        this.speak(volunteer, { type: 'stage-want', job, wants: output.wants.map(([a, b]) => [a, b]) }, stage.previous);
      } else {
        const tokens = output.tokens.map((token) => ({ ...token, top: [...token.top] }));
        const message: Message = { type: 'stage-tokens', job, unit, attempt, tokens };
        if (output.to === 'hub') this.speak(volunteer, message);
        else if (stage.next !== undefined) this.speak(volunteer, message, stage.next);
      }
    }
  }

  /** To the hub, or to a neighbour over one of two ways. */
  private speak(volunteer: Volunteer, honest: Message, to?: PeerId, activations?: Float32Array): void {
    const isForNeighbour = honest.type === 'stage-rows' || honest.type === 'stage-want';
    if (isForNeighbour && to === undefined) return;
    const said =
      volunteer.lie === undefined ? { message: honest, values: activations } : volunteer.lie(honest, activations);
    if (said === undefined) return;
    const { message, values } = said;
    if (to !== undefined && this.random.below(2) === 0) this.deliver(to, checked(message), volunteer.name, values);
    else if (volunteer.isLinked) {
      const addressed = to === undefined ? message : { ...(message as MessageOf<'stage-want'>), to };
      this.tellHub(volunteer.name, addressed, values);
    }
  }
}

/** What a stage's machine is told by this message, as `assembly/stage-desk.ts` has it. */
function wordOf(
  stage: RunningStage,
  message: Message,
  direct: PeerId | undefined,
  values: Float32Array | undefined,
): StageInput | undefined {
  const from = direct ?? ('from' in message ? message.from : undefined);
  if ('attempt' in message && from === undefined && !isSame(stage.lease, message)) return undefined;
  switch (message.type) {
    case 'stage-wire':
      return { type: 'wired', previous: message.previous, next: message.next };
    case 'stage-open': {
      const { type: _type, job: _job, unit: _unit, attempt: _attempt, ...request } = message;
      return { type: 'open', request };
    }
    case 'stage-close':
      return { type: 'close', streams: message.streams };
    case 'stage-want':
      return from === undefined ? undefined : { type: 'want', from, wants: message.wants };
    case 'stage-rows':
      return from === stage.previous && values !== undefined ? { type: 'rows', rows: message.rows, values } : undefined;
    case 'stage-tokens':
      return from === stage.previous ? { type: 'tokens', tokens: message.tokens } : undefined;
    default:
      return undefined;
  }
}

const isSame = (a: LeaseKey | undefined, b: LeaseKey): boolean =>
  a?.unit === b.unit && a.attempt === b.attempt && a.job === b.job;

/** As it would arrive: what does not parse or does not fit a header ends the link, so nobody may ever send it. */
function checked(message: Message): Message {
  const text = JSON.stringify(message);
  assert(text.length <= headerBytesMax, `${message.type} has a header of ${text.length} bytes`);
  return expectInput(parseMessage(JSON.parse(text) as Record<string, unknown>));
}
