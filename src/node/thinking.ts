/**
 * Thinking as much as one is told (budget forcing, Muennighoff et al. 2025, arXiv 2501.19393): a sample thinks until it says
 * the marker that ends thoughts, at most `budget` tokens; where it ended early and something was given to go on with, that
 * is put in its place. Then the marker stands, whoever said it, and the answer follows. Each step is a generation job.
 */

import type { Tokenizer } from '../models/tokenizer.ts';
import { InputError } from '../core/result.ts';
import { seedOfProblem } from '../inference/sampling.ts';
import type { GeneratedSample } from '../inference/generation-result.ts';

export interface ThinkingPlan {
  /** Tokens of thought, each of them a point of the plot. */
  readonly budgets: readonly number[];
  /** One token: the end of a thought. */
  readonly end: number;
  /** Put in place of an end that comes before the budget is spent; empty accepts it. */
  readonly more: readonly number[];
  /** Samples of each problem at each budget. */
  readonly samples: number;
}

/** Draws this many samples of a prompt and ends them at any of these tokens. */
export type Draw = (job: {
  readonly promptTokens: readonly number[];
  readonly stopTokens: readonly number[];
  readonly samples: number;
  readonly maxTokens: number;
  readonly seed: number;
}) => Promise<readonly GeneratedSample[]>;

export interface ThoughtOptions {
  readonly plan: ThinkingPlan;
  /** Which of the plan's budgets. */
  readonly at: number;
  readonly draw: Draw;
  readonly seed: number;
  /** The problem's number. */
  readonly problem: number;
  readonly promptTokens: readonly number[];
  readonly stopTokens: readonly number[];
  /** Of the answer. */
  readonly maxTokens: number;
}

/** A sample under way: what it has thought, and whether it has said that it is done. */
interface Thought {
  readonly tokens: readonly number[];
  readonly logprob: number;
  readonly ended: boolean;
}

export interface ThoughtfulSample {
  /** Thought, marker, answer. */
  readonly tokens: readonly number[];
  /** Of what was drawn; what was put in counts for nothing. */
  readonly logprob: number;
  readonly finish: string;
}

/** The samples of one problem at one budget. */
export async function drawThoughtful(options: ThoughtOptions): Promise<ThoughtfulSample[]> {
  const { plan, at, draw, problem, promptTokens, stopTokens } = options;
  const budget = plan.budgets[at] ?? 0;
  const { end, more } = plan;
  let job = 0;
  /** One job for all that have thought the same, each job with a seed of its own. */
  const drawOn = async <T extends Thought>(
    all: readonly T[],
    wanted: {
      readonly suffix: readonly number[];
      readonly stop: readonly number[];
      readonly tokens: (one: T) => number;
    },
  ): Promise<{ readonly from: T; readonly drawn: GeneratedSample }[]> => {
    const results: { from: T; drawn: GeneratedSample }[] = [];
    for (const [first, group] of groupByTokens(all)) {
      const seed = seedOfProblem(options.seed, problem, 1 + at * 4096 + job++);
      const drawn = await draw({
        promptTokens: [...promptTokens, ...first.tokens, ...wanted.suffix],
        stopTokens: wanted.stop,
        samples: group.length,
        maxTokens: wanted.tokens(first),
        seed,
      });
      for (const [index, from] of group.entries()) {
        const one = drawn[index];
        if (one !== undefined) results.push({ from, drawn: one });
      }
    }
    return results;
  };

  let thoughts: Thought[] = Array.from({ length: plan.samples }, () => ({
    tokens: [],
    logprob: 0,
    ended: budget === 0,
  }));
  while (thoughts.some(({ ended }) => !ended)) {
    const going = thoughts.filter(({ ended }) => !ended);
    const further = await drawOn(going, {
      suffix: [],
      stop: [end, ...stopTokens],
      tokens: ({ tokens }) => budget - tokens.length,
    });
    thoughts = [
      ...thoughts.filter(({ ended }) => ended),
      ...further.map(({ from, drawn }) => {
        const said = [...from.tokens, ...drawn.tokens];
        const logprob = from.logprob + drawn.logprob;
        const room = budget - said.length;
        if (drawn.finish === 'stop' && more.length > 0 && room > more.length)
          return { tokens: [...said, ...more], logprob, ended: false };
        return { tokens: said, logprob, ended: true };
      }),
    ];
  }
  const answers = await drawOn(thoughts, { suffix: [end], stop: stopTokens, tokens: () => options.maxTokens });
  return answers.map(({ from, drawn }) => ({
    tokens: [...from.tokens, end, ...drawn.tokens],
    logprob: from.logprob + drawn.logprob,
    finish: drawn.finish,
  }));
}

/** Those with equal tokens together, with one of them in front. */
function groupByTokens<T extends Thought>(all: readonly T[]): [T, T[]][] {
  const groups = new Map<string, [T, T[]]>();
  for (const one of all) {
    const key = one.tokens.join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one, [one]]);
    else group[1].push(one);
  }
  return [...groups.values()];
}

/** The plan from what people write: budgets, the marker's text, and the text to go on with. */
export function thinkingPlan(
  tokenizer: Tokenizer,
  flags: {
    readonly budgets: readonly number[];
    readonly end: string | undefined;
    readonly more: string | undefined;
    readonly samples: number;
  },
): ThinkingPlan {
  const { budgets, samples } = flags;
  if (flags.end === undefined)
    throw new InputError('--think: needs --think-end TEXT, the token that ends a thought of this model');
  const ids = tokenizer.encode(flags.end, { addSpecial: false });
  const [end] = ids;
  if (end === undefined || ids.length !== 1)
    throw new InputError(
      `--think-end ${JSON.stringify(flags.end)}: is ${ids.length} tokens of this model, give text that is one`,
    );
  const more = flags.more === undefined ? [] : tokenizer.encode(flags.more, { addSpecial: false });
  return { budgets, samples, end, more };
}
