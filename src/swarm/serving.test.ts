/**
 * A served model at the hub's door: places, takeovers, requests and credit, with volunteers that come and go, and answers held
 * against the toy network's own.
 */

import { describe, expect, test } from 'vitest';
import { jobOfManifest } from '../core/ids.ts';
import { requestsWaitingMax } from '../core/limits.ts';
import { createRandom, type Random } from '../core/prng.ts';
import { sampleManifest } from './sample-manifests.ts';
import { expectAnswered, worldOf } from './served-answers.fixture.ts';
import { servedManifest } from './served-manifest.fixture.ts';
import { ServedWorld, type Asked, type Volunteer } from './served-world.fixture.ts';
import { digestNamed, jobOne, peerNamed, submitterAccount } from './test-hub.ts';

const join = (world: ServedWorld, count: number): Volunteer[] => Array.from({ length: count }, () => world.join());

const someRequest = (random: Random) => ({
  promptTokens: Array.from({ length: 1 + random.below(9) }, () => random.below(40)),
  firstSample: random.below(50),
  samples: 1 + random.below(5),
  maxTokens: 1 + random.below(12),
  stopTokens: random.below(2) === 0 ? [] : [7, 8, 9],
});

describe('a served model', () => {
  test.each([1, 2, 3, 5])('of %i stages answers several askers at once with the tokens of the whole', (stages) => {
    for (let seed = 0; seed < 5; seed++) {
      const random = createRandom(seed, stages);
      const world = new ServedWorld(random, { stages, sequences: 1 + random.below(6), pipelines: 1 + random.below(2) });
      join(world, stages * world.plan.pipelines);
      for (let request = 0; request < 6; request++) {
        world.ask(`f${request % 3}`, someRequest(random));
        world.steps(random.below(40));
      }
      world.settle();
      for (const asked of world.asked) expectAnswered(world, asked, `seed ${seed}`);
      expect(world.state().serving).toMatchObject({ up: world.plan.pipelines, running: 0, waiting: 0 });
      expect(world.openCaches()).toBe(0);
    }
  });

  test.each([
    [1, 0, 1],
    [2, 1, 1],
    [3, 1, 2],
    [3, 0, 2],
    [5, 2, 1],
  ])(
    'of %i stages with %i spares in %i pipelines gives the same tokens when anybody goes at any moment',
    (stages, spares, pipelines) => {
      for (let seed = 0; seed < 6; seed++) {
        const random = createRandom(seed, 1000 + 100 * stages + 10 * spares + pipelines);
        const world = new ServedWorld(random, { stages, spares, pipelines, sequences: 1 + random.below(5) });
        join(world, stages * pipelines * (1 + spares));
        for (let round = 0; round < 40; round++) {
          happen(world, random);
          world.steps(random.below(60));
          expect(world.state().serving?.running).toBeLessThanOrEqual(world.plan.sequences * pipelines);
        }
        heal(world);
        for (const asked of world.asked) expectAnswered(world, asked, `seed ${seed}`);
        expect(world.openCaches()).toBe(0);
      }
    },
  );

  test('comes back with its log when the hub dies, and so do its volunteers: what is asked then is answered', () => {
    for (let seed = 0; seed < 6; seed++) {
      const random = createRandom(seed, 2000);
      const world = new ServedWorld(random, { stages: 3, spares: 1, sequences: 3 });
      join(world, 6);
      for (let life = 0; life < 4; life++) {
        for (let round = 0; round < 8; round++) {
          happen(world, random);
          world.steps(random.below(60));
        }
        const before = JSON.stringify(world.hub.hub.snapshot('pool'));
        world.restart(random.below(2) === 0);
        expect(JSON.stringify(world.hub.hub.snapshot('pool'))).toBe(before);
      }
      world.ask('f0', someRequest(random));
      heal(world);
      for (const asked of world.asked) expectAnswered(world, asked, `seed ${seed}`);
      expect(world.openCaches()).toBe(0);
      // Nobody holds two places, and no place is held by two.
      const units = world.placed().map(({ stage }) => stage?.lease.unit);
      expect(new Set(units).size).toBe(units.length);
    }
  });
});

/** One thing that happens in the life of a served model. */
function happen(world: ServedWorld, random: Random): void {
  const volunteers = [...world.volunteers.values()];
  const volunteer = volunteers[random.below(Math.max(1, volunteers.length))];
  const open = world.asked.filter(({ answered, isLost }) => answered === undefined && !isLost);
  const asked = open[random.below(Math.max(1, open.length))];
  const choice = random.below(10);
  if (choice < 3) world.ask(`f${random.below(4)}`, someRequest(random));
  else if (choice === 3) world.tick();
  else if (choice === 4) world.join();
  else if (choice === 5 && volunteer !== undefined) world.kill(volunteer);
  else if (choice === 6 && volunteer !== undefined) {
    if (volunteer.isLinked) world.unlink(volunteer);
    else world.link(volunteer);
  } else if (choice === 7 && volunteer !== undefined) {
    const isPaused = volunteer.machine.view().state === 'paused';
    world.give(volunteer, isPaused ? { type: 'resume' } : { type: 'pause', reason: 'hidden' });
  } else if (choice === 8 && asked !== undefined) {
    const { firstSample, samples } = asked.ask;
    world.stop(asked, random.below(2) === 0 ? undefined : [firstSample + random.below(samples)]);
  } else if (choice === 9 && asked !== undefined && random.below(3) === 0) world.leave(asked.from);
}

/** Everybody is back, there are enough of them, and time passes. */
function heal(world: ServedWorld): void {
  for (const volunteer of world.volunteers.values()) {
    if (!volunteer.isLinked) world.link(volunteer);
    world.give(volunteer, { type: 'resume' });
  }
  while (world.volunteers.size < world.plan.stages * world.plan.pipelines) world.join();
  world.settle(70);
}

describe('places', () => {
  test('are filled in order: every stage, then its spare, then the next pipeline', () => {
    const world = new ServedWorld(createRandom(1), { stages: 2, spares: 1, pipelines: 2 });
    const seats: string[] = [];
    for (let count = 0; count < 8; count++) {
      const volunteer = world.join();
      world.settle(1);
      for (const { name, stage } of world.placed()) {
        const { pipeline, stage: index } = stage?.lease.stage ?? { pipeline: -1, stage: -1 };
        if (name === volunteer.name) seats.push(`${pipeline}/${index}`);
      }
    }
    // A pipeline is cut when there are volunteers for all of its stages: the first of two waits.
    expect(seats).toEqual(['0/1', '0/0', '0/1', '1/1', '1/0', '1/1']);
    expect(world.placed()).toHaveLength(8);
    expect(world.state()).toMatchObject({ state: 'running', accepted: 8, serving: { up: 2 } });
  });

  test('a volunteer that says nothing for half a minute loses its place, one that is paused at once', () => {
    const world = worldOf({ stages: 1 });
    world.hub.pass(25);
    expect(world.state().accepted).toBe(1);
    world.hub.pass(40);
    expect(world.state().accepted).toBe(0);
    const other = worldOf({ stages: 1 });
    const [first] = other.placed();
    if (first !== undefined) other.give(first, { type: 'pause', reason: 'paused' });
    other.settle(1);
    expect(other.state().accepted).toBe(0);
    expect(other.placed()).toHaveLength(0);
    if (first !== undefined) other.give(first, { type: 'resume' });
    other.settle(2);
    expect(other.state().accepted).toBe(1);
  });

  test('a stage that nobody has is given to a spare of another stage, and the model is up again', () => {
    const world = worldOf({ stages: 2, spares: 1 });
    const last = world.placed().filter(({ stage }) => stage?.lease.stage?.stage === 1);
    expect(last).toHaveLength(2);
    for (const volunteer of last) world.kill(volunteer);
    world.settle(1);
    expect(world.state().serving?.up).toBe(0);
    const asked = world.ask('f0');
    world.settle(6);
    expect(world.state().serving?.up).toBe(1);
    expectAnswered(world, asked);
  });

  test('nobody is called away from a pipeline that is whole, nor the only one of a stage', () => {
    const world = worldOf({ stages: 2, pipelines: 2 });
    const second = world.placed().find(({ stage }) => stage?.lease.stage?.pipeline === 1);
    if (second !== undefined) world.kill(second);
    world.settle(10);
    expect(world.state().serving?.up).toBe(1);
    const first = world.placed().find(({ stage }) => stage?.lease.stage?.pipeline === 0);
    if (first !== undefined) world.kill(first);
    // Of two broken pipelines one whole is made.
    world.settle(10);
    expect(world.state().serving?.up).toBe(1);
    expect(world.placed().map(({ stage }) => stage?.lease.stage?.pipeline)).toEqual([0, 0]);
  });

  test('a result for a place is nothing: it stays whose it is, and is free when they go', () => {
    const world = worldOf({ stages: 1 });
    const [holder] = world.placed();
    if (holder?.stage === undefined) throw new Error('nobody sits');
    expect(world.hub.hub.wants(peerNamed(holder.name), holder.stage.lease)).toBe(false);
    world.hub.finish(holder.name, holder.stage.lease, 'a0');
    expect(world.state().accepted).toBe(1);
    world.kill(holder);
    world.join();
    world.settle(2);
    expect(world.state().accepted).toBe(1);
    expectAnswered(world, (world.ask('f0'), world.settle(), world.asked[0] as Asked));
  });

  test('to be ready twice changes nothing', () => {
    const world = worldOf({ stages: 2 });
    const asked = world.ask('f0', { maxTokens: 30 });
    world.steps(60);
    const holder = world.holderOf(0);
    if (holder?.stage === undefined) throw new Error('nobody sits');
    const { job, unit, attempt } = holder.stage.lease;
    for (let again = 0; again < 5; again++) {
      world.tellHub(holder.name, { type: 'stage-ready', job, unit, attempt, bytes: again });
      world.steps(20);
    }
    world.settle();
    expectAnswered(world, asked);
  });
});

describe('requests', () => {
  test('first come, first served, as many at once as there is room for', () => {
    const world = worldOf({ stages: 2, sequences: 2 });
    const all = Array.from({ length: 6 }, () => world.ask('f0', { maxTokens: 5 }));
    const ends: Asked[] = [];
    while (world.step()) {
      expect(world.state().serving?.running).toBeLessThanOrEqual(2);
      for (const one of all) if (one.answered !== undefined && !ends.includes(one)) ends.push(one);
    }
    expect(new Set(ends.slice(0, 2))).toEqual(new Set(all.slice(0, 2)));
    expect(new Set(ends.slice(2, 4))).toEqual(new Set(all.slice(2, 4)));
    expect(ends).toHaveLength(6);
  });

  test('are spread over pipelines, each by the room that it has', () => {
    const world = worldOf({ stages: 1, pipelines: 2, sequences: 1 });
    const first = world.ask('f0', { maxTokens: 20 });
    const second = world.ask('f1', { maxTokens: 20 });
    world.settle();
    expectAnswered(world, first);
    expectAnswered(world, second);
    const by = [first, second].map(({ answered }) => answered?.by[0]?.pipeline);
    expect(by.toSorted()).toEqual([0, 1]);
  });

  test('that are stopped free their streams for those who wait', () => {
    const world = worldOf({ stages: 2, sequences: 1 });
    const long = world.ask('f0', { maxTokens: 50 });
    const next = world.ask('f1', { maxTokens: 3 });
    world.steps(80);
    expect(world.state().serving).toMatchObject({ running: 1, waiting: 1 });
    world.stop(long);
    while (world.step());
    expect(long.answered).toBeDefined();
    expect(long.tokens.get(0)?.length ?? 0).toBeLessThan(50);
    expectAnswered(world, next);
    expect(world.openCaches()).toBe(0);
  });

  test('of who has left free their streams at once', () => {
    const world = worldOf({ stages: 2, sequences: 1 });
    world.ask('f0', { maxTokens: 50 });
    const next = world.ask('f1', { maxTokens: 3 });
    world.steps(80);
    world.leave('f0');
    while (world.step());
    expectAnswered(world, next);
    expect(world.openCaches()).toBe(0);
  });

  test('are refused by name: another model, a foreign token, no room for an answer, samples beyond the bound, an id in use', () => {
    const world = worldOf({ stages: 1 });
    const refused = (request: Parameters<ServedWorld['ask']>[1]) => {
      const asked = world.ask('f0', request);
      while (world.step());
      return asked.refused;
    };
    expect(refused({ job: jobOfManifest(digestNamed('77')) })).toMatchObject({ kind: 'unknown-model' });
    expect(refused({ promptTokens: [1, 40] })).toMatchObject({
      kind: 'invalid',
      reason: expect.stringContaining('40') as string,
    });
    expect(refused({ promptTokens: Array.from({ length: 64 }, () => 1) })).toMatchObject({ kind: 'invalid' });
    expect(refused({ firstSample: 1_000_000, samples: 2 })).toMatchObject({ kind: 'invalid' });
    expect(refused({ firstSample: 1_000_000, samples: 1 })).toBeUndefined();
    const long = world.ask('f1', { maxTokens: 50 });
    world.steps(10);
    const { id } = long.ask;
    const twice = world.ask('f2', { id });
    world.settle();
    // An id is one link's own.
    expectAnswered(world, long);
    expectAnswered(world, twice);
  });

  test('beyond the bound of those that wait are told when to ask again', () => {
    const world = new ServedWorld(createRandom(1), { stages: 1 });
    const waiting = Array.from({ length: requestsWaitingMax }, () => world.ask('f0', { maxTokens: 2 }));
    const over = world.ask('f0', { maxTokens: 2 });
    world.settle(1);
    expect(over.refused).toMatchObject({ kind: 'busy', retrySeconds: expect.any(Number) as number });
    expect(world.state().serving).toMatchObject({ waiting: requestsWaitingMax, running: 0 });
    world.join();
    world.settle(1);
    for (const asked of waiting) expectAnswered(world, asked);
  });

  test('under way when the model is cancelled are told so, and its volunteers let go', () => {
    const world = worldOf({ stages: 2, spares: 1 });
    const asked = world.ask('f0', { maxTokens: 50 });
    world.steps(80);
    world.tellHub('5ub', { type: 'cancel', job: jobOne });
    world.settle();
    expect(asked.refused).toMatchObject({ kind: 'failed' });
    expect(world.placed()).toHaveLength(0);
    expect(world.state()).toMatchObject({
      state: 'cancelled',
      accepted: 0,
      serving: { up: 0, running: 0, waiting: 0 },
    });
    expect(world.ask('f0').refused ?? (world.settle(1), world.asked.at(-1)?.refused)).toMatchObject({
      kind: 'unknown-model',
    });
  });

  test('under way when the hub shuts down are answered, new ones are told that it does', () => {
    const world = worldOf({ stages: 2 });
    const asked = world.ask('f0', { maxTokens: 20 });
    world.steps(40);
    world.hub.input({ type: 'shutdown' });
    const late = world.ask('f0');
    world.settle();
    expectAnswered(world, asked);
    expect(late.refused).toMatchObject({ kind: 'failed', reason: expect.stringContaining('shutting down') as string });
  });

  test('of an account whose volunteer is excluded go on', () => {
    const world = worldOf({ stages: 1, sequences: 2 });
    const asked = world.ask('f0', { maxTokens: 50 });
    world.steps(40);
    const { hub } = world;
    const other = jobOfManifest(digestNamed('b2'));
    hub.offer(sampleManifest({ units: 6, replicas: 2, unitSeconds: 10 }, submitterAccount), other);
    // The asker's account has a volunteer that lies.
    hub.join('a0', { account: 'e0' }).join('a1').join('a2');
    for (let round = 0; round < 12; round++) {
      for (const name of ['a0', 'a1', 'a2']) {
        for (const lease of hub.leases(name)) hub.finish(name, lease, name === 'a0' ? 'bad' : 'c0');
        hub.pull(name, 1);
      }
      for (const { job, unit, a, b } of hub.taken('compare')) {
        hub.input({ type: 'compared', job, unit, a: a.attempt, b: b.attempt, agree: a.digest === b.digest });
      }
    }
    expect(hub.hub.view().accounts.find(({ account }) => account === submitterAccount)?.excluded).toBe(true);
    world.settle();
    expectAnswered(world, asked);
  });
});

test('a plan that does not fit its model is refused', () => {
  expect(() => servedManifest({ stages: 2, context: 65 })).toThrow('context of 65');
});
