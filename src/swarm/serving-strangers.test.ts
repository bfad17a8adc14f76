/** What volunteers of a served model say that is not so, what they earn, and what it takes for a model to be given up. */

import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import type { ChosenToken } from '../protocol/serving-messages.ts';
import { expectAnswered, worldOf } from './served-answers.fixture.ts';
import { ServedWorld, type Volunteer } from './served-world.fixture.ts';
import { peerNamed } from './test-hub.ts';

describe('strangers', () => {
  test('who report tokens that nobody asked for, or that are none, change no answer and earn nothing', () => {
    const world = worldOf({ stages: 1 });
    const asked = world.ask('f0', { maxTokens: 10 });
    world.steps(10);
    const holder = world.holderOf(0);
    if (holder?.stage === undefined) throw new Error('nobody sits');
    const { job, unit, attempt } = holder.stage.lease;
    const position = asked.ask.promptTokens.length + (asked.tokens.get(0)?.length ?? 0);
    const token = (changes: Partial<ChosenToken>): ChosenToken => ({
      stream: 2,
      position,
      token: 1,
      logprob: 0,
      top: [],
      ...changes,
    });
    const lies = [token({ stream: 99 }), token({ position: 60 }), token({ position: 0 }), token({ token: 40 })];
    const before = asked.tokens.get(0)?.length ?? 0;
    for (let again = 0; again < 50; again++) {
      world.hub.say(holder.name, {
        type: 'stage-tokens',
        job,
        unit,
        attempt,
        tokens: lies.map((lie) => ({ ...lie, top: [...lie.top] })),
      });
    }
    expect(asked.tokens.get(0)?.length ?? 0).toBe(before);
    world.settle();
    expectAnswered(world, asked);
    world.kill(holder);
    expect(world.hub.hub.view().ledger.map(({ credit }) => credit)).toEqual([10]);
  });

  test('who hold no stage, or another, can neither report tokens nor be relayed to', () => {
    const world = worldOf({ stages: 2 });
    const asked = world.ask('f0', { maxTokens: 10 });
    world.steps(30);
    const [first, second] = [world.holderOf(0), world.holderOf(1)];
    if (first?.stage === undefined || second?.stage === undefined) throw new Error('nobody sits');
    const { job } = first.stage.lease;
    const before = asked.tokens.get(0)?.length ?? 0;
    const tokens = [{ stream: 2, position: 3 + before, token: 1, logprob: 0, top: [] }];
    // The last stage in its own name, and in the first one's.
    for (const { unit, attempt } of [second.stage.lease, first.stage.lease]) {
      world.hub.say(second.name, { type: 'stage-tokens', job, unit, attempt, tokens });
    }
    expect(asked.tokens.get(0)?.length ?? 0).toBe(before);
    world.hub.join('a0');
    const { hub } = world.hub;
    expect(hub.mayRelay(peerNamed(first.name), peerNamed(second.name), job)).toBe(true);
    expect(hub.mayRelay(peerNamed('a0'), peerNamed(second.name), job)).toBe(false);
    expect(hub.mayRelay(peerNamed(first.name), peerNamed('a0'), job)).toBe(false);
    world.settle();
    expectAnswered(world, asked);
  });

  test('alternatives that were not asked for do not reach who asked', () => {
    const world = worldOf({ stages: 1 });
    const asked = world.ask('f0', { maxTokens: 1, topLogprobs: 1 });
    while (asked.answered === undefined && world.step()) {
      for (const volunteer of world.placed()) {
        volunteer.lie ??= (message) => {
          if (message.type !== 'stage-tokens') return { message };
          const top = Array.from({ length: 20 }, (_, rank): [number, number] => [rank, -rank]);
          return { message: { ...message, tokens: message.tokens.map((token) => ({ ...token, top })) } };
        };
      }
    }
    expect(asked.tops.get(0)).toEqual([[[0, 0]]]);
  });
});

describe('a pipeline that brings nothing', () => {
  test('because words between its stages were lost goes on once they are asked for again', () => {
    const world = worldOf({ stages: 3 });
    const middle = world.holderOf(1);
    if (middle === undefined) throw new Error('nobody sits');
    let isDeaf = true;
    middle.lie = (message, values) => {
      if (isDeaf && message.type === 'stage-rows') return undefined;
      return values === undefined ? { message } : { message, values };
    };
    const asked = world.ask('f0');
    world.settle(2);
    isDeaf = false;
    world.settle(2);
    expect(asked.answered).toBeUndefined();
    world.settle(12);
    expectAnswered(world, asked);
    expect(world.holderOf(1)).toBe(middle);
  });

  test.each([0, 1, 2])('because of what stage %i keeps to itself is mended by its spare', (stage) => {
    const world = worldOf({ stages: 3, spares: 1 });
    const mute = world.holderOf(stage);
    if (mute === undefined) throw new Error('nobody sits');
    mute.lie = (message) =>
      message.type === 'stage-rows' || message.type === 'stage-tokens' ? undefined : { message };
    const asked = world.ask('f0');
    world.settle(30);
    expect(asked.answered).toBeUndefined();
    world.settle(300);
    expectAnswered(world, asked);
    expect(world.state().serving?.up).toBe(1);
  });

  test('or has nothing to do, loses nobody', () => {
    const world = worldOf({ stages: 2, spares: 1 });
    const before = world.placed().map(({ stage }) => stage?.lease.attempt);
    world.settle(300);
    expect(world.placed().map(({ stage }) => stage?.lease.attempt)).toEqual(before);
  });
});

describe('credit', () => {
  test('is paid by the tokens that went through a place’s layers, each time that it was held', () => {
    const world = worldOf({ stages: 2 });
    const [first] = world.placed();
    if (first === undefined) throw new Error('nobody sits');
    for (const tokens of [8, 5]) {
      const asked = world.ask('f0', { maxTokens: tokens, samples: 2 });
      world.settle();
      expectAnswered(world, asked);
      world.give(first, { type: 'pause', reason: 'paused' });
      world.settle(2);
      world.give(first, { type: 'resume' });
      world.settle(2);
    }
    const { ledger } = world.hub.hub.view();
    // A price of 1000 for a thousand tokens, and half of the layers.
    expect(ledger.map(({ credit, tokens }) => [credit, tokens])).toEqual([
      [8, 16],
      [5, 10],
    ]);
    expect(new Set(ledger.map(({ account }) => account)).size).toBe(1);
    // Nothing went through since.
    world.kill(first);
    expect(world.hub.hub.view().ledger).toHaveLength(2);
  });
});

describe('failures', () => {
  const failAt = (world: ServedWorld, name: string): void => {
    const lease = world.volunteers.get(name)?.stage?.lease;
    if (lease === undefined) throw new Error('nobody sits');
    const { job, unit, attempt } = lease;
    world.give(world.volunteers.get(name) as Volunteer, {
      type: 'compute-failed',
      lease: { job, unit, attempt },
      reason: 'lost',
    });
  };

  test('on three volunteers in a row, with no token between them, end the job', () => {
    const world = new ServedWorld(createRandom(3), { stages: 1 });
    for (let failure = 0; failure < 3; failure++) {
      const { name } = world.join();
      world.settle(1);
      failAt(world, name);
      world.settle(1);
      world.kill(world.volunteers.get(name) as Volunteer);
    }
    expect(world.state()).toMatchObject({ state: 'failed', reason: expect.stringContaining('lost') as string });
  });

  test('now and then, over a long life, do not', () => {
    const world = new ServedWorld(createRandom(3), { stages: 1 });
    for (let failure = 0; failure < 15; failure++) {
      const { name } = world.join();
      const asked = world.ask('f0', { maxTokens: 3 });
      world.settle(1);
      expectAnswered(world, asked);
      failAt(world, name);
      world.settle(1);
      world.kill(world.volunteers.get(name) as Volunteer);
    }
    expect(world.state().state).toBe('running');
  });
});
