/**
 * Builds a scenario's world around the real machines and lets it run until every job has finished and the submitter
 * has everything, or until something breaks. The same scenario and seed give the same run, event by event.
 */

import type { AccountId, JobId } from '../core/ids.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { LeaseKey } from '../protocol/messages.ts';
import { manifestOfJob } from '../core/ids.ts';
import { sampleManifest, sampleTraining } from '../swarm/sample-manifests.ts';
import type { Scenario } from './scenarios.ts';
import { jobNamed, SimHub } from './sim-hub.ts';
import { SimSubmitter } from './sim-submitter.ts';
import { SimVolunteer, type Character } from './sim-volunteer.ts';
import type { Trace } from './trace.ts';
import { nameOf, peerNameOf, Truth } from './truth.ts';
import { World } from './world.ts';
import type { FactRecord } from '../swarm/step.ts';

export interface SimReport {
  readonly seed: number;
  readonly volunteers: number;
  readonly units: number;
  readonly virtualSeconds: number;
  readonly events: number;
  readonly accepted: number;
  readonly wrongAccepted: number;
  /** Attempts that were lent per accepted unit, those withdrawn or lost among them. */
  readonly replicationOverhead: number;
  /** See `job-format.md`: the makespan over what cannot be beaten. */
  readonly makespanOverBound: number;
  /** Share of the present computing power that computed. */
  readonly utilisation: number;
  readonly crashes: number;
  readonly invariants: string;
}

export interface SimulateOptions {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly trace?: Trace;
  /** Breaks facts on purpose, to prove that the checkers see it. */
  readonly tamper?: (record: FactRecord) => FactRecord;
}

export function simulate(options: SimulateOptions): SimReport {
  return new Simulation(options).run();
}

class Simulation {
  private readonly scenario: Scenario;
  private readonly seed: number;
  private readonly world: World;
  private readonly truth = new Truth();
  private readonly hub: SimHub;
  private readonly volunteers: SimVolunteer[] = [];
  private readonly submitter: SimSubmitter;
  private readonly jobs: JobId[] = [];
  private readonly sizes: Float64Array;

  constructor({ scenario, seed, trace, tamper }: SimulateOptions) {
    this.scenario = scenario;
    this.seed = seed;
    this.world = new World(seed, trace);
    const mayAcceptWrong = scenario.replicas === 1 && scenario.liars + scenario.sometimesLiars > 0;
    const isRight = (digest: Parameters<Truth['isRight']>[0]) => this.truth.isRight(digest);
    this.hub = new SimHub(this.world, this.truth, scenario.commitMs, { isRight, mayAcceptWrong });
    this.hub.tamper = tamper;
    const account = nameOf('e', 0) as string as AccountId;
    const self = {
      peer: peerNameOf('5', 0),
      account,
      role: 'submitter',
      block: '10.0.0.0/24',
    } as const;
    this.submitter = new SimSubmitter(this.world, this.hub, self, 10);
    this.sizes = Float64Array.from({ length: scenario.units }, () =>
      scenario.sizes === 'equal' ? 1 : this.world.logUniform(0.5, 2),
    );
    this.submitJobs(account);
    this.inviteVolunteers();
    this.scheduleFaults();
  }

  run(): SimReport {
    const { world, scenario, hub, submitter } = this;
    const endMs = scenario.endSeconds * 1000;
    const isOver = () => this.jobs.every((job) => submitter.finishedAt.has(job));
    while (!isOver() && hub.invariants.violation === undefined && submitter.violation === undefined) {
      if (world.now > endMs || !world.step()) break;
    }
    const makespanMs = Math.max(...this.jobs.map((job) => submitter.finishedAt.get(job) ?? world.now));
    for (const volunteer of this.volunteers) volunteer.finish();
    hub.checkReplay();
    return this.report(makespanMs, hub.invariants.violation ?? submitter.violation ?? this.unfinished());
  }

  /** Liveness: what has not come to its end although the network was whole again. */
  private unfinished(): string | undefined {
    for (const job of this.jobs) {
      const seen = this.submitter.machine.job(job);
      const name = seen?.state?.name ?? job;
      if (seen?.finished !== true)
        return `${name} did not finish within ${this.scenario.endSeconds} s: ${seen?.collected} units collected`;
      if (seen.phase !== 'done') return `${name} ended as ${seen.phase}: ${seen.state?.reason ?? ''}`;
    }
    return undefined;
  }

  private report(makespanMs: number, violation: string | undefined): SimReport {
    const { scenario, world, hub } = this;
    const { accepted, attempts, wrongAccepted } = hub.invariants;
    const capacity = this.volunteers.reduce((sum, { character, presentMs }) => sum + character.speed * presentMs, 0);
    const used = this.volunteers.reduce((sum, { character, busyMs }) => sum + character.speed * busyMs, 0);
    return {
      seed: this.seed,
      volunteers: scenario.volunteers,
      units: scenario.units,
      virtualSeconds: round(world.now / 1000),
      events: world.events,
      accepted,
      wrongAccepted,
      replicationOverhead: round(accepted === 0 ? 0 : attempts / accepted),
      makespanOverBound: round(this.makespanOverBound(makespanMs, capacity)),
      utilisation: round(capacity === 0 ? 0 : Math.min(1, used / capacity)),
      crashes: hub.crashes,
      invariants: violation === undefined ? 'held' : `${violation} (scenario ${scenario.name}, seed ${this.seed})`,
    };
  }

  /** `capacity / makespan` is the summed speed of the volunteers, each counted while present. */
  private makespanOverBound(makespanMs: number, capacity: number): number {
    const unitMs = this.scenario.unitSeconds * 1000;
    const work = this.sizes.reduce((sum, size) => sum + size, 0) * this.scenario.replicas * unitMs;
    const fastest = Math.max(...this.volunteers.map(({ character }) => character.speed));
    const longest = (this.sizes.reduce((most, size) => Math.max(most, size), 0) * unitMs) / fastest;
    if (work === 0 || makespanMs === 0) return 0;
    return makespanMs / Math.max((work * makespanMs) / capacity, longest);
  }

  private submitJobs(account: AccountId): void {
    const { scenario, hub, submitter } = this;
    submitter.dial();
    const submit = (job: JobId, manifest: Manifest): void => {
      this.jobs.push(job);
      hub.offer(manifest, manifestOfJob(job));
      submitter.submit(job, manifest.units);
    };
    if (scenario.units > 0) submit(jobNamed(0), sampleManifest(scenario, account));
    if (scenario.training !== undefined) {
      submit(jobNamed(1), sampleTraining(scenario.training, scenario.unitSeconds, account));
    }
  }

  private inviteVolunteers(): void {
    const { scenario, world } = this;
    const [slowest, fastest] = scenario.speeds;
    for (let index = 0; index < scenario.volunteers; index++) {
      const twinOf = index >= scenario.volunteers - scenario.twins ? scenario.volunteers - scenario.twins : index;
      const self = {
        peer: peerNameOf('c', index),
        account: nameOf('d', twinOf) as string as AccountId,
        role: 'volunteer',
        block: `10.${index >> 8}.${index & 255}.0/24`,
      } as const;
      const latency = world.between(...scenario.latencyMs);
      const speed = world.logUniform(slowest, fastest);
      const workMsOf = ({ job, unit }: LeaseKey) =>
        scenario.unitSeconds * 1000 * (job === jobNamed(0) ? (this.sizes[unit] ?? 1) : 1);
      const character = this.characterOf(index, speed);
      const volunteer = new SimVolunteer(world, this.hub, this.truth, self, character, latency, workMsOf);
      this.volunteers.push(volunteer);
      world.after(index < scenario.late ? world.between(1_000, 60_000) : world.between(0, 200), () => volunteer.open());
    }
  }

  /** Which of the first volunteers are bad; the others are honest and stay, so that a quorum can always be had. */
  private characterOf(index: number, speed: number): Character {
    const { liars, sometimesLiars, failing, hanging, rounding } = this.scenario;
    let at = index;
    const isNext = (count: number): boolean => {
      const is = at >= 0 && at < count;
      at -= count;
      return is;
    };
    const lies = isNext(liars) ? 1 : isNext(sometimesLiars) ? 0.3 : 0;
    const fails = isNext(failing) ? 0.3 : 0;
    return { speed, lies, fails, hangs: isNext(hanging) ? 0.2 : 0, rounding };
  }

  private scheduleFaults(): void {
    const { scenario, world, hub } = this;
    const healMs = scenario.healSeconds * 1000;
    const sometime = () => world.between(500, Math.max(500, healMs - 5_000));
    for (let crash = 0; crash < scenario.crashes; crash++) {
      world.at(sometime(), () => hub.crash(world.between(100, 3_000)));
      world.at(sometime(), () => hub.compact());
    }
    const shuffled = this.volunteers.toSorted(() => world.random.next() - 0.5);
    for (const volunteer of shuffled.slice(0, scenario.vanishing)) {
      const silently = world.random.next() < 0.5;
      world.at(sometime(), () => volunteer.vanish(silently));
    }
    for (const volunteer of shuffled.slice(0, scenario.hidden)) this.hideNowAndThen(volunteer, healMs);
    for (let count = 0; count < scenario.partitions; count++) world.at(sometime(), () => this.partition());
    if (Number.isFinite(scenario.linkSeconds)) {
      for (const member of [...this.volunteers, this.submitter]) this.breakNowAndThen(member, healMs);
    }
  }

  private hideNowAndThen(volunteer: SimVolunteer, healMs: number): void {
    const { world } = this;
    world.after(world.between(2_000, 20_000), () => {
      if (world.now > healMs) return;
      volunteer.hide(world.between(500, 5_000));
      this.hideNowAndThen(volunteer, healMs);
    });
  }

  private breakNowAndThen(member: SimVolunteer | SimSubmitter, healMs: number): void {
    const { world } = this;
    const meanMs = this.scenario.linkSeconds * 1000;
    world.after(-Math.log(1 - world.random.next()) * meanMs, () => {
      if (world.now > healMs) return;
      if (world.random.next() < 0.3) member.link?.fallSilent(2_000);
      else member.link?.break();
      this.breakNowAndThen(member, healMs);
    });
  }

  /** Half of the peers cannot be heard for a while. */
  private partition(): void {
    for (const volunteer of this.volunteers) if (this.world.random.next() < 0.5) volunteer.link?.fallSilent(2_000);
  }
}

const round = (value: number): number => Math.round(value * 10_000) / 10_000;
