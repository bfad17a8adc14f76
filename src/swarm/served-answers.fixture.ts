/** For tests of served models: what must come of a request, by the toy network's own word. */

import { expect } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { toyAnswer } from '../inference/toy-network.fixture.ts';
import type { ServePlan } from '../protocol/manifest.ts';
import type { MessageOf } from '../protocol/messages.ts';
import { ServedWorld, type Asked } from './served-world.fixture.ts';

/** What must have come of this request's sample: its tokens, and why it ended. */
export function expectedOf({ stages, context }: ServePlan, ask: MessageOf<'ask'>, sample: number) {
  const maxTokens = Math.min(ask.maxTokens, context - ask.promptTokens.length);
  const drawn = toyAnswer(stages, ask.promptTokens, sample, { maxTokens, stopTokens: ask.stopTokens });
  const hasStopped = ask.stopTokens.includes(drawn.at(-1) ?? -1);
  return { tokens: hasStopped ? drawn.slice(0, -1) : drawn, reason: hasStopped ? 'stop' : 'length' };
}

/** Every token of it, once and in order, unless nobody waits for it any more. */
export function expectAnswered(world: ServedWorld, asked: Asked, where = ''): void {
  if (asked.isLost) return;
  expect(asked.refused, where).toBeUndefined();
  expect(asked.answered, where).toBeDefined();
  const { firstSample, samples } = asked.ask;
  for (let sample = firstSample; sample < firstSample + samples; sample++) {
    const { tokens, reason } = expectedOf(world.plan, asked.ask, sample);
    const got = asked.tokens.get(sample) ?? [];
    if (asked.stopped.has(sample)) {
      expect(tokens.slice(0, got.length), where).toEqual(got);
      continue;
    }
    expect(got, where).toEqual(tokens);
    expect(asked.finished.get(sample), where).toBe(reason);
  }
}

/** A world in which everybody sits. */
export function worldOf(plan: Partial<ServePlan>, seed = 1): ServedWorld {
  const world = new ServedWorld(createRandom(seed), plan);
  const { stages, spares, pipelines } = world.plan;
  for (let place = 0; place < stages * (1 + spares) * pipelines; place++) world.join();
  world.settle(1);
  return world;
}
